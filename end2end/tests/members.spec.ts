import { call, expect, fresh, join, shownSecret, test, visit } from './bursar';

test('a member sees what they can use, opens a private context, and calls', async ({ page, world }) => {
  const { console: mia } = await join(world, fresh('Mia'), 'member', world.research);
  await visit(page, mia, '/');
  await expect(page.getByRole('heading', { name: 'My models' })).toBeVisible();
  await expect(page.getByRole('row').filter({ hasText: 'small-chat' })).toContainText(/open/i);
  await page.getByRole('button', { name: 'Open it' }).first().click();
  const secret = await shownSecret(page);
  expect((await call(world, secret)).status).toBe(200);
  await expect(async () => {
    await page.goto(`${world.base}/my-models`);
    await expect(page.locator('main')).toContainText('$0.0003 used', { timeout: 500 });
  }).toPass({ timeout: 15_000 });
  for (const path of ['/users', '/audit', '/providers', `/groups/${world.engineering}`]) {
    const status = (await page.goto(world.base + path))!.status();
    expect([403, 404], path).toContain(status);
    await expect(page.locator('body')).not.toContainText('House');
  }
});

test('a lead manages the group they lead, and no other', async ({ page, world }) => {
  const name = fresh('Lab');
  const group = await world.owner.create('groups/create', { name, kind: 'project', parent: world.research });
  const { id, console: lead } = await join(world, fresh('Lena'), 'member');
  await world.owner.post('groups/add-member', { group, user: id, lead: 'true' });
  await visit(page, lead, '/groups');
  await page.getByRole('link', { name, exact: true }).click();
  await page.getByRole('link', { name: 'New group below' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name').fill('Optics');
  await dialog.getByRole('button', { name: 'Create the group' }).click();
  await expect(page.getByRole('heading', { name: 'Optics', level: 1 })).toBeVisible();
  expect((await page.goto(`${world.base}/groups/${world.research}`))!.status()).toBe(403);
});
