import { expect, fresh, type Locator, said, test, visit } from './bursar';

/** What is done when a model fails, unfolded. */
async function fold(dialog: Locator, called: string): Promise<Locator> {
  const details = dialog.locator('details').filter({ has: dialog.page().getByText(`When ${called} fails`, { exact: true }) });
  if ((await details.getAttribute('open')) === null) await details.locator('summary').click();
  return details;
}

test('what happens when a model fails is said while a policy is made, and survives a refusal', async ({ page, world, javaScriptEnabled }) => {
  const name = fresh('route').replace(' ', '-');
  await visit(page, world.owner, '/policies');
  await page.getByRole('link', { name: 'New policy' }).click();
  const dialog = page.getByRole('dialog', { name: 'New policy' });
  await dialog.getByLabel('Name', { exact: true }).fill(name);
  await dialog.getByLabel('Models', { exact: true }).fill('nobody');
  const first = await fold(dialog, javaScriptEnabled === false ? 'the first model of the list' : 'nobody');
  await first.getByLabel('It is tried').selectOption({ label: 'Up to 2 times' });
  await first.getByLabel('It answers 429').uncheck();
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(dialog.getByLabel('Models', { exact: true })).toHaveAttribute('aria-invalid', 'true');
  const again = await fold(dialog, 'nobody');
  await expect(again.getByLabel('It is tried').locator('option:checked'), 'what was chosen is still there').toHaveText('Up to 2 times');
  await expect(again.getByLabel('It answers 429')).not.toBeChecked();
  await dialog.getByLabel('Models', { exact: true }).fill('small-chat');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await said(page, 'Policy saved.');
  await expect(page.getByRole('row').filter({ hasText: name })).toContainText('small-chat: 2 tries, after connection');

  // What is added to a saved policy brings what is said of it along.
  const added = fresh('more').replace(' ', '-');
  await world.owner.create('models/create', {
    name: added, provider: world.provider, upstream: 'tiny-1', modality: 'chat', tier: world.tier, context_tokens: '8192',
    max_output_tokens: '1000', price_input: '1', price_output: '1',
  });
  await page.getByRole('row').filter({ hasText: name }).getByRole('link', { name: 'Edit' }).click();
  const edit = page.getByRole('dialog', { name: 'Edit the policy' });
  await edit.getByLabel('Models', { exact: true }).fill(`${added}\nsmall-chat`);
  const fresher = await fold(edit, javaScriptEnabled === false ? 'the first model you add' : added);
  await fresher.getByLabel('It is tried').selectOption({ label: 'Up to 3 times' });
  await edit.getByRole('button', { name: 'Save' }).click();
  await said(page, 'Policy saved.');
  const row = page.getByRole('row').filter({ hasText: name });
  await expect(row).toContainText(`${added}: 3 tries`);
  await expect(row, 'and what was said stays').toContainText('small-chat: 2 tries, after connection');
});
