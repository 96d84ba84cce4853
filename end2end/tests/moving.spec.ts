import { card, expect, fresh, join, said, shared, test, visit } from './bursar';

/** Two groups beside each other, and somebody in the first. */
async function ground(world: any) {
  const [from, to] = [fresh('Here'), fresh('There')];
  const groups = [];
  for (const name of [from, to]) groups.push(await world.owner.create('groups/create', { name, kind: 'custom', parent: world.research }));
  const name = fresh('Mo');
  const { id, console: them } = await join(world, name, 'member', groups[0]);
  return { from, to, groups, name, id, them };
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

test('who has a secret of the group is taken out of it, and moved, once that is known', async ({ page, world, javaScriptEnabled }) => {
  const { from, to, groups, name, id, them } = await ground(world);
  const key = await shared(world, groups[0]);
  await them.post('keys/issue-own', { key });
  const dialog = page.getByRole('dialog');
  const dies = `1 secret of 1 person dies with it for good, and undoing it brings none back: ${name}.`;
  const moves = dialog.getByText(`Nothing is changed yet. ${name} moves from ${from} to ${to}. ${dies}`);
  const question = dialog.getByText(`Nothing is changed yet. ${dies}`);
  await visit(page, world.owner, `/groups/${groups[0]}?dialog=shift&who=${id}`);
  if (javaScriptEnabled === false) {
    await dialog.getByRole('button', { name: 'Move' }).click();
    await expect(dialog.getByText('Choose a group.', { exact: true })).toBeVisible();
    await dialog.getByLabel('To which group').selectOption(groups[1]);
  } else {
    await dialog.getByRole('combobox', { name: 'To which group' }).fill(to);
    await page.keyboard.press('Enter');
  }
  await dialog.getByRole('button', { name: 'Move' }).click();
  await expect(moves).toBeVisible();
  await dialog.getByRole('link', { name: 'Close' }).click();

  await page.getByRole('button', { name: `Actions for ${name}` }).click();
  await page.getByRole('button', { name: 'Remove from the group' }).click();
  await expect(dialog.getByRole('heading', { name: `Take ${name} out of ${from}?` })).toBeVisible();
  await expect(question).toBeVisible();
  await dialog.getByRole('button', { name: `Take ${name} out` }).click();
  await said(page, 'Removed from the group. 1 secret of 1 person is dead, and stays dead if you undo this.');
  await expect(page).not.toHaveURL(/dialog/);
  await expect(card(page, 'People')).not.toContainText(name);

  // From their own page, too.
  await world.owner.post('groups/add-member', { group: groups[0], user: id });
  await them.post('keys/issue-own', { key });
  await page.goto(`${world.base}/users/${id}`);
  const line = page.locator('#their-groups li').filter({ hasText: from });
  await line.getByRole('button', { name: 'Remove' }).click();
  await expect(question).toBeVisible();
  await dialog.getByRole('button', { name: `Take ${name} out` }).click();
  await said(page, /1 secret of 1 person is dead/);
  await expect(line).toHaveCount(0);
});

test('nobody is put into whichever group comes first', async ({ page, world }) => {
  const { name, id } = await ground(world);
  await visit(page, world.owner, `/users/${id}?dialog=join`);
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Add', exact: true }).click();
  await expect(dialog.getByText('Choose a group.', { exact: true })).toBeVisible();
  await expect(dialog.getByLabel('Group')).toHaveAttribute('aria-invalid', 'true');
  await expect(page.getByRole('heading', { name, level: 1 })).toBeVisible();
});

test('a line that cannot be moved says why', async ({ page, world }) => {
  const { groups, name, id } = await ground(world);
  await world.owner.post('groups/edit-member', { group: groups[0], user: id, was: 'member', lead: 'true' });
  await visit(page, world.owner, `/groups/${groups[0]}`);
  const tick = page.getByRole('checkbox', { name: `Select ${name}` });
  await expect(tick).toBeDisabled();
  await expect(tick).toHaveAccessibleDescription(new RegExp(`${name} leads this group: hand the lead over`));
  await expect(page.getByRole('row').filter({ hasText: name }).getByText(`${name} leads this group`)).toBeVisible();
});
