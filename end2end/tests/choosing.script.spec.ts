import { expect, fresh, join, said, test, visit } from './bursar';

test('Escape closes the choice of people, Enter searches, and on the same words confirms', async ({ page, world }) => {
  const name = fresh('Noor');
  await join(world, name, 'member');
  const group = await world.owner.create('groups/create', { name: fresh('Choosing'), kind: 'custom', parent: world.research });
  await visit(page, world.owner, `/groups/${group}?dialog=add`);
  const dialog = page.getByRole('dialog');
  const search = dialog.getByRole('searchbox');
  await search.fill('somebody');
  await search.press('Escape');
  await expect(dialog).toHaveCount(0);

  await page.getByRole('link', { name: 'Add people' }).click();
  await search.fill(name);
  await search.press('Enter');
  await dialog.getByRole('link', { name: new RegExp(name) }).click();
  await expect(dialog.getByRole('link', { name: `Leave out ${name}` })).toBeVisible();
  await expect(search).toHaveValue(name);
  await search.press('Enter');
  await said(page, '1 person added');
});
