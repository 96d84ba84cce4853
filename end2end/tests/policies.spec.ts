import { expect, fresh, said, test, visit } from './bursar';

test('what happens when a model fails is said while a policy is made, and survives a refusal', async ({ page, world }) => {
  const name = fresh('route').replace(' ', '-');
  await visit(page, world.owner, '/policies');
  await page.getByRole('link', { name: 'New policy' }).click();
  const dialog = page.getByRole('dialog', { name: 'New policy' });
  const tries = dialog.getByLabel('It is tried').first();
  await dialog.getByLabel('Name', { exact: true }).fill(name);
  await dialog.getByLabel('Models', { exact: true }).fill('nobody');
  await dialog.getByText('When the first model of the list fails').first().click();
  await tries.selectOption({ label: 'Up to 2 times' });
  await dialog.getByLabel('It answers 429').first().uncheck();
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(dialog.getByLabel('Models', { exact: true })).toHaveAttribute('aria-invalid', 'true');
  await expect(tries, 'what was chosen is still there').toHaveValue('#1 2');
  await expect(dialog.getByLabel('It answers 429').first()).not.toBeChecked();
  await dialog.getByLabel('Models', { exact: true }).fill('small-chat');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await said(page, 'Policy saved.');
  await expect(page.getByRole('row').filter({ hasText: name })).toContainText('small-chat: 2 tries, after connection');
});
