import { expect, fresh, refused, said, test, visit } from './bursar';

test('a provider is tried out before it is kept, and keeps its credential to itself', async ({ page, world }) => {
  const name = fresh('Second');
  await visit(page, world.owner, '/providers');
  await page.getByRole('link', { name: 'New provider' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name', { exact: true }).fill(name);
  await dialog.getByLabel('Address').fill(world.providerUrl);
  await dialog.getByRole('button', { name: 'Add the provider' }).click();
  await expect(dialog.getByText('allow a private address')).toBeVisible();
  await dialog.getByLabel('It is on this machine').check();
  await dialog.getByLabel('API key').fill('sk-upstream');
  await dialog.getByRole('button', { name: 'Test connection' }).click();
  await expect(dialog.getByText('tiny-1')).toBeVisible();
  await dialog.getByLabel('API key').fill('sk-upstream');
  await dialog.getByRole('button', { name: 'Add the provider' }).click();
  await expect(page.getByRole('heading', { name, level: 1 })).toBeVisible();
  expect(await page.content()).not.toContain('sk-upstream');
});

test('a new model waits for review, gets a price, and is accepted', async ({ page, world }) => {
  const name = `chat-${Math.random().toString(36).slice(2, 8)}`;
  await visit(page, world.owner, '/models');
  await page.getByRole('link', { name: 'New model' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name for callers').fill(name);
  await dialog.getByLabel('Input, $ per million').fill('0.1234567891');
  await dialog.getByRole('button', { name: 'Add the model' }).click();
  const price = dialog.getByLabel('Input, $ per million');
  await refused(price, '0.1234567891', /At most nine digits/);
  await dialog.getByLabel('Input, $ per million').fill('-1');
  await dialog.getByRole('button', { name: 'Add the model' }).click();
  await refused(price, '-1', /below zero/);
  await dialog.getByLabel('Input, $ per million').fill('0.123456789');
  await dialog.getByLabel('Output, $ per million').fill('0.50');
  await dialog.getByRole('button', { name: 'Add the model' }).click();
  await expect(page.getByText('This model waits for review')).toBeVisible();
  await page.getByRole('button', { name: 'Accept' }).click();
  await expect(page.getByText('This model waits for review')).toHaveCount(0);

  await page.getByRole('link', { name: 'Set prices' }).click();
  await dialog.getByLabel('Input optional', { exact: true }).fill('0.20');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByRole('row').filter({ hasText: 'in force' })).toContainText('$0.20');
});

test('a tier is made, marked high-cost, and archived', async ({ page, world }) => {
  const name = fresh('tier');
  await visit(page, world.owner, '/models');
  await page.getByRole('link', { name: 'New tier' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name', { exact: true }).fill(name);
  await dialog.getByLabel('High-cost').check();
  await dialog.getByRole('button', { name: 'Add the tier' }).click();
  const row = page.getByRole('row').filter({ hasText: name });
  await expect(row).toContainText('high-cost');
  await row.getByRole('link', { name: 'Edit' }).click();
  await dialog.getByLabel(`Type ${name} to archive it`).fill(name);
  await dialog.getByRole('button', { name: 'Archive the tier' }).click();
  await expect(page.getByRole('row').filter({ hasText: name })).toHaveCount(0);
});

test('a policy names models in order', async ({ page, world }) => {
  const name = `route-${Math.random().toString(36).slice(2, 8)}`;
  await visit(page, world.owner, '/policies');
  await page.getByRole('link', { name: 'New policy' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name').fill(name);
  await dialog.getByRole('textbox').last().fill('unheard-of');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(dialog.getByText('There is no model unheard-of')).toBeVisible();
  await dialog.getByRole('textbox').last().fill('small-chat');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(page.locator('main')).toContainText(`policy/${name}`);
});
