import { card, expect, fresh, join, test, visit } from './bursar';

test('people are dragged onto a group, with Alt into both, and where they are not taken it says why', async ({ page, world }) => {
  const [from, to] = [fresh('Here'), fresh('There')];
  const groups = [];
  for (const name of [from, to]) groups.push(await world.owner.create('groups/create', { name, kind: 'custom', parent: world.research }));
  const names = [fresh('Ann'), fresh('Ben'), fresh('Cid')];
  for (const name of names) await join(world, name, 'member', groups[0]);
  await visit(page, world.owner, `/groups/${groups[0]}`);
  const row = (name: string) => page.getByRole('row').filter({ hasText: name });
  const node = (name: string) => page.locator('.members-node').filter({ hasText: name });

  // Two that are ticked go together.
  await page.getByRole('checkbox', { name: `Select ${names[0]}` }).check();
  await page.getByRole('checkbox', { name: `Select ${names[1]}` }).check();
  await expect(page.getByText('2 people selected')).toBeVisible();
  await row(names[0]).dragTo(node(to));
  await expect(page.getByRole('status').filter({ hasText: `Moved 2 people to ${to}.` })).toBeVisible();
  await expect(card(page, 'People')).not.toContainText(names[0]);
  await page.getByRole('button', { name: 'Undo' }).click();
  await expect(card(page, 'People')).toContainText(names[1]);

  // Onto the group they are in: nothing changes, and it says why.
  await row(names[2]).dragTo(node(from));
  await expect(page.locator('.toast').filter({ hasText: `They are in ${from} already.` })).toBeVisible();

  await page.keyboard.down('Alt');
  await row(names[2]).dragTo(node(to));
  await page.keyboard.up('Alt');
  await expect(page.getByRole('status').filter({ hasText: `Added ${names[2]} to ${to}.` })).toBeVisible();
  await expect(card(page, 'People')).toContainText(names[2]);
});

test('M on a line asks where to, and Escape goes back to the line', async ({ page, world }) => {
  const group = await world.owner.create('groups/create', { name: fresh('Keys'), kind: 'custom', parent: world.research });
  const name = fresh('Kim');
  await join(world, name, 'member', group);
  await visit(page, world.owner, `/groups/${group}`);
  const link = page.getByRole('link', { name, exact: true });
  await link.focus();
  await page.keyboard.press('m');
  const dialog = page.getByRole('dialog', { name: `Move ${name}` });
  await expect(dialog).toBeVisible();
  const combo = dialog.getByRole('combobox');
  await combo.press('ArrowDown');
  await expect(dialog.getByRole('option').first()).toBeVisible();
  await combo.press('Escape');
  await expect(dialog.getByRole('option')).toHaveCount(0);
  await combo.press('Escape');
  await expect(dialog).toHaveCount(0);
  await expect(link).toBeFocused();
});

test('two quick clicks are two choices', async ({ page, world }) => {
  const group = await world.owner.create('groups/create', { name: fresh('Quick'), kind: 'custom', parent: world.research });
  const word = fresh('Zed');
  const names = [`A ${word}`, `B ${word}`];
  for (const name of names) await join(world, name, 'member');
  await visit(page, world.owner, `/groups/${group}?dialog=add&find=${encodeURIComponent(word)}`);
  const dialog = page.getByRole('dialog');
  await dialog.locator('.choices').evaluate((list) => {
    for (const link of list.querySelectorAll('a')) (link as HTMLElement).click();
  });
  for (const name of names) await expect(dialog.getByRole('link', { name: `Leave out ${name}` })).toBeVisible();
  await dialog.getByRole('button', { name: 'Add 2 people' }).click();
  await expect(page.locator('main')).toContainText('2 people changed');
});
