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

test('what is said of those who are chosen stays while more are looked for, and the focus is where one goes on', async ({ page, world }) => {
  const word = fresh('Dated');
  const names = [`A ${word}`, `B ${word}`];
  for (const name of names) await join(world, name, 'member');
  const group = await world.owner.create('groups/create', { name: fresh('Until'), kind: 'custom', parent: world.research });
  // Opened by its address.
  await visit(page, world.owner, `/groups/${group}?dialog=add`);
  const dialog = page.getByRole('dialog');
  const search = dialog.getByRole('searchbox');
  await expect(search).toBeFocused();
  await page.keyboard.type(word);
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(/find=/);
  await expect(search).toBeFocused();
  await expect(search).toHaveValue(word);
  await page.keyboard.press('Escape');
  await expect(dialog).toHaveCount(0);
  await expect(page.getByRole('link', { name: 'Add people' })).toBeFocused();

  await page.getByRole('link', { name: 'Add people' }).click();
  await dialog.getByRole('link', { name: names[0] }).click();
  await dialog.getByLabel('Last day').fill('2031-05-06');
  await dialog.getByLabel('They lead this group').check();
  await dialog.getByRole('link', { name: names[1] }).click();
  await expect(dialog.getByRole('button', { name: 'Add 2 people' })).toBeVisible();
  await expect(dialog.getByLabel('Last day')).toHaveValue('2031-05-06');
  await search.fill('nobody at all');
  await search.press('Enter');
  await expect(page).toHaveURL(/nobody/);
  await expect(dialog.getByLabel('Last day')).toHaveValue('2031-05-06');
  await dialog.getByRole('link', { name: `Leave out ${names[0]}` }).click();
  await expect(dialog.getByRole('button', { name: 'Add 1 person' })).toBeVisible();
  await expect(dialog.getByLabel('Last day')).toHaveValue('2031-05-06');
  await expect(dialog.getByLabel('They lead this group')).toBeChecked();
  await page.keyboard.press('Escape');
  await expect(dialog).toHaveCount(0);
  await expect(page.getByRole('link', { name: 'Add people' })).toBeFocused();
});
