// The list of a policy's models, and what only script does beside it.
import { expect, fresh, type Locator, newModel, said, test, visit } from './bursar';

/** What is done when a model fails, unfolded. */
async function fold(dialog: Locator, called: string): Promise<Locator> {
  const details = dialog.locator('details').filter({ has: dialog.page().getByText(`When ${called} fails`, { exact: true }) });
  if ((await details.getAttribute('open')) === null) await details.locator('summary').click();
  return details;
}

test('each line has a fold of its own, and what is said there goes along with it', async ({ page, world }) => {
  const names = [];
  for (const stem of ['one', 'two', 'three', 'four', 'five', 'six']) names.push(await newModel(world, stem));
  const name = fresh('long').replace(' ', '-');
  await visit(page, world.owner, '/policies');
  await page.getByRole('link', { name: 'New policy' }).click();
  const dialog = page.getByRole('dialog', { name: 'New policy' });
  await expect(dialog.getByText('Write a model, and what is done when it fails is said here.')).toBeVisible();
  await expect(dialog.locator('details')).toHaveCount(0);
  const list = dialog.getByLabel('Models', { exact: true });
  await dialog.getByLabel('Name', { exact: true }).fill(name);
  await dialog.getByLabel('Chooses').selectOption({ label: 'By weight' });
  await list.pressSequentially(`${names[4]}\n${names[5]}`);
  await expect(dialog.locator('details')).toHaveCount(2);
  await (await fold(dialog, names[5])).getByLabel('It is tried').selectOption({ label: 'Up to 3 times' });
  await (await fold(dialog, names[5])).getByLabel('Its answer has to begin within').selectOption({ label: '20 seconds' });
  // More lines before it, and a weight: it is still said of the same model, the sixth by now.
  await list.fill(`${names.slice(0, 5).join('\n')}\n${names[5]} 7`);
  await expect(dialog.locator('details')).toHaveCount(6);
  await expect((await fold(dialog, names[5])).getByLabel('It is tried').locator('option:checked')).toHaveText('Up to 3 times');
  await (await fold(dialog, names[0])).getByLabel('It answers 500 or more').uncheck();
  await dialog.getByRole('button', { name: 'Rehearse on 30 days' }).click();
  await page.getByRole('link', { name: 'Back', exact: true }).click();
  await expect((await fold(dialog, names[5])).getByLabel('It is tried').locator('option:checked'), 'the way back brings it along').toHaveText('Up to 3 times');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await said(page, 'Policy saved.');
  const row = page.getByRole('row').filter({ hasText: name });
  await expect(row).toContainText(`${names[5]}: 3 tries, 20 s`);
  await expect(row).toContainText(`${names[0]}: after connection, timeout, 408, 409, 429, credential`);
  await expect(row).toContainText(`${names[5]} 7`);
});
