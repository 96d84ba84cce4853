import { card, expect, fresh, join, said, test, visit } from './bursar';

/** Two groups beside each other, and somebody in the first. */
async function ground(world: any) {
  const [from, to] = [fresh('Here'), fresh('There')];
  const groups = [];
  for (const name of [from, to]) groups.push(await world.owner.create('groups/create', { name, kind: 'custom', parent: world.research }));
  const name = fresh('Mo');
  const { id } = await join(world, name, 'member', groups[0]);
  return { from, to, groups, name, id };
}

test('somebody is moved by the menu of their line, and brought back', async ({ page, world, javaScriptEnabled }) => {
  const { to, groups, name } = await ground(world);
  await visit(page, world.owner, `/groups/${groups[0]}`);
  await page.getByRole('button', { name: `Actions for ${name}` }).click();
  await page.getByRole('link', { name: /Move to/ }).click();
  const dialog = page.getByRole('dialog');
  if (javaScriptEnabled === false) {
    await dialog.getByLabel('To which group').selectOption(groups[1]);
  } else {
    await dialog.getByRole('combobox', { name: 'To which group' }).fill(to);
    await page.keyboard.press('Enter');
    await expect(dialog.getByRole('combobox', { name: 'To which group' })).toHaveValue(new RegExp(to));
  }
  await dialog.getByRole('button', { name: 'Move' }).click();
  await expect(page.locator('.toast').filter({ hasText: `Moved ${name} to ${to}.` })).toBeVisible();
  if (javaScriptEnabled !== false) await expect(card(page, 'People')).not.toContainText(name);
  await page.getByRole('button', { name: 'Undo' }).click();
  await said(page, /Undone for 1 person/);
  // The dialog that was sent off does not come back with the page that is looked at again.
  if (javaScriptEnabled !== false) await expect(card(page, 'People')).toContainText(name);
  await expect(page.getByRole('dialog')).toHaveCount(0);
  await page.goto(`${world.base}/groups/${groups[0]}`);
  await expect(card(page, 'People')).toContainText(name);
});

test('what somebody is in a group, and until when, is edited in the list of people', async ({ page, world }) => {
  const { groups, name } = await ground(world);
  await visit(page, world.owner, `/groups/${groups[0]}`);
  const row = page.getByRole('row').filter({ hasText: name });
  await page.getByRole('button', { name: `Actions for ${name}` }).click();
  await page.getByRole('link', { name: 'Edit the membership…' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Last day').fill('2030-01-31');
  await dialog.getByLabel('They lead this group').check();
  await dialog.getByRole('button', { name: 'Save' }).click();
  await said(page, 'Membership saved.');
  await expect(row).toContainText(/through .*2030/);
  await expect(row.getByText('lead', { exact: true })).toBeVisible();
});
