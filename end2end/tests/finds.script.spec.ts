import { expect, fresh, newModel, test, visit } from './bursar';

test('looking for something keeps what is ticked and typed elsewhere on the page', async ({ page, world }) => {
  const [first, second] = [await newModel(world, 'alder'), await newModel(world, 'birch')];
  await visit(page, world.owner, '/models/review');
  await page.getByRole('checkbox', { name: `Choose ${first}` }).check();
  const find = page.getByRole('searchbox', { name: 'Find a model' });
  await find.fill(second);
  await find.press('Enter');
  await expect(page).toHaveURL(new RegExp(`q=${second}`));
  await expect(page.getByRole('checkbox', { name: `Choose ${second}` })).not.toBeChecked();
  // It is not what was looked for, and is still chosen.
  await expect(page.getByRole('checkbox', { name: `Choose ${first}` })).toBeChecked();
  await expect(find).toBeFocused();
  await page.goBack();
  await expect(page).not.toHaveURL(/q=/);
  await expect(page.getByRole('checkbox', { name: `Choose ${first}` })).toBeVisible();
});

test('looking for a model keeps what is filled in of a policy', async ({ page, world }) => {
  test.slow();
  // So many that they are looked for.
  for (let number = 0; number < 42; number++) await newModel(world, `pine-${number}`);
  const name = fresh('kept').replace(' ', '-');
  await visit(page, world.owner, '/policies?dialog=new');
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name', { exact: true }).fill(name);
  const find = dialog.getByRole('searchbox', { name: 'Look for: model' });
  await find.fill('pine-7');
  await find.press('Enter');
  await expect(page).toHaveURL(/find=pine-7/);
  await expect(dialog.getByLabel('Name', { exact: true })).toHaveValue(name);
});
