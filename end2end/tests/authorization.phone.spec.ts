import { application, call, expect, fresh, said, test, visit } from './bursar';

test('with a thumb: from group to group, a tier is closed, previewed and saved', async ({ page, world }) => {
  const name = fresh('Thumb');
  const group = await world.owner.create('groups/create', { name, kind: 'function', parent: world.engineering });
  const { secret } = await application(world, fresh('thumb'), group);
  await visit(page, world.owner, '/authorization');
  const list = page.locator('.mx-narrow');
  await list.getByRole('link', { name: 'Engineering', exact: true }).tap();
  await list.getByRole('link', { name, exact: true }).tap();
  await expect(list.getByRole('heading', { name })).toBeVisible();
  const tier = list.locator(`[data-cell="${group}~tier:${world.tier}"]`);
  await expect(tier).toContainText('from Engineering');
  await tier.getByRole('link').tap();
  await page.getByRole('menu', { name: 'This cell' }).getByRole('menuitem', { name: 'Closed' }).tap();
  await expect(tier.locator('.mx-next')).toHaveText('Closed');
  await page.locator('.mx-bar').getByRole('button', { name: 'Preview' }).tap();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('1 change, not live yet');
  expect((await call(world, secret)).status).toBe(200);
  await page.getByRole('button', { name: 'Save 1 change' }).tap();
  await said(page, '1 change saved.');
  expect((await call(world, secret)).status).toBe(404);
});
