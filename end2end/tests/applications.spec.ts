import { application, call, card, expect, fresh, said, shownSecret, test, visit } from './bursar';

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

  await page.getByRole('link', { name: 'Make a secret' }).click();
  await dialog.getByRole('button', { name: 'Make the secret' }).click();
  const old = await shownSecret(dialog);
  expect((await call(world, old)).status).toBe(200);

  // Rotated at once: the one before is dead with the next call.
  await page.goto(`${address}?dialog=secret`);
  await dialog.getByLabel('Secrets that are there').selectOption('0');
  await dialog.getByRole('button', { name: 'Make the secret' }).click();
  const secret = await shownSecret(dialog);
  expect(secret).not.toBe(old);
  expect((await call(world, old)).status).toBe(401);
  expect((await call(world, secret)).status).toBe(200);

  await expect(async () => {
    await page.goto(address);
    await expect(page.locator('main')).toContainText('2,000 in, 1,000 out tokens', { timeout: 500 });
  }).toPass({ timeout: 15_000 });
  await expect(page.locator('body'), 'shown once').not.toContainText(secret);
  await expect(page.locator('main')).toContainText(secret.slice(-4));

  await page.getByRole('link', { name: 'Revoke' }).click();
  await dialog.getByLabel(/^Type/).fill('what');
  await dialog.getByRole('button', { name: 'Revoke it' }).click();
  await expect(dialog).toContainText('exactly as it is written');
  expect((await call(world, secret)).status, 'nothing was done').toBe(200);
  await dialog.getByLabel(/^Type/).fill(secret.slice(-4));
  await dialog.getByRole('button', { name: 'Revoke it' }).click();
  await said(page, 'Revoked');
  expect((await call(world, secret)).status).toBe(401);

  await page.goto(address);
  await page.getByRole('link', { name: 'Archive' }).click();
  await dialog.getByLabel(/^Type/).fill(name);
  await dialog.getByRole('button', { name: 'Archive the application' }).click();
  await said(page, /archived/i);
});

test('a key is narrowed to no model at all', async ({ page, world }) => {
  const { id, secret } = await application(world, fresh('narrow'), world.research);
  await visit(page, world.owner, `/applications/${id}`);
  await card(page, 'Key').getByRole('link', { name: 'Edit' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Everything its group has').uncheck();
  await dialog.getByRole('button', { name: 'Save' }).click();
  await said(page, /saved/i);
  const refused = await call(world, secret);
  expect(refused.status).toBe(403);
  expect((await refused.json()).error.code).toBe('model_not_allowed');
});
