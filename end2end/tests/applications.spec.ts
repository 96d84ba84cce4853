import { application, call, expect, fresh, said, test, visit } from './bursar';

test('an application gets its key’s secret once, calls, and is stopped', async ({ page, world }) => {
  const name = fresh('bot');
  await visit(page, world.owner, '/applications');
  await page.getByRole('link', { name: 'New application' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name').fill(name);
  await dialog.getByLabel('Group').selectOption(world.research);
  await dialog.getByRole('button', { name: 'Create the application' }).click();
  await expect(page.getByRole('heading', { name, level: 1 })).toBeVisible();
  const address = page.url().split('?')[0];

  await page.getByRole('link', { name: /secret/i }).first().click();
  await dialog.getByRole('button', { name: /secret/i }).first().click();
  const secret = /bsr_live_[0-9A-Za-z]{36}/.exec((await dialog.getByText(/bsr_live_/).first().textContent())!)![0];
  expect((await call(world, secret)).status).toBe(200);

  await page.goto(address);
  await expect(page.locator('body'), 'shown once').not.toContainText(secret);
  await expect(page.locator('main')).toContainText(secret.slice(-4));
  await expect(page.locator('main')).toContainText('1,000');

  await page.getByRole('button', { name: 'Revoke' }).click();
  await said(page, 'Revoked');
  expect((await call(world, secret)).status).toBe(401);

  await page.goto(address);
  await page.getByRole('link', { name: 'Archive' }).click();
  await dialog.getByRole('button', { name: 'Archive the application' }).click();
  await said(page, /archived/i);
});

test('a key is narrowed to no model at all', async ({ page, world }) => {
  const { id, secret } = await application(world, fresh('narrow'), world.research);
  await visit(page, world.owner, `/applications/${id}`);
  await page.getByRole('link', { name: /edit the key|change/i }).first().click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel(/every model|all models/i).uncheck();
  await dialog.getByRole('button', { name: 'Save' }).click();
  await said(page, /saved/i);
  const refused = await call(world, secret);
  expect(refused.status).toBe(403);
  expect((await refused.json()).error.code).toBe('model_not_allowed');
});
