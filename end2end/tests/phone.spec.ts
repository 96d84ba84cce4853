import { expect, fresh, join, type Locator, type Page, said, test, visit } from './bursar';

test('the navigation unfolds, leads somewhere, and folds again', async ({ page, world }) => {
  await visit(page, world.owner, '/');
  const models = page.getByRole('link', { name: 'Models', exact: true });
  await expect(models).toBeHidden();
  await page.getByText('Menu').tap();
  await expect(models).toBeVisible();
  await models.tap();
  await expect(page.getByRole('heading', { name: 'Models', level: 1 })).toBeVisible();
  await expect(models).toBeHidden();
});

test('a group is made with a thumb', async ({ page, world }) => {
  const name = fresh('Pocket');
  await visit(page, world.owner, '/groups');
  await page.getByRole('link', { name: 'New group' }).tap();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name').fill(name);
  await dialog.getByRole('button', { name: 'Create the group' }).tap();
  await expect(page.getByRole('heading', { name, level: 1 })).toBeVisible();
  await page.getByRole('link', { name: 'New limit' }).tap();
  await dialog.getByLabel('At most').fill('25');
  await dialog.getByRole('button', { name: 'Set the limit' }).tap();
  await said(page, 'Limit set: $25.00 a month.');
});

test('the first screen of spend says whether all is fine, who and what drives it, and what changed', async ({ page, world }) => {
  for (const path of ['/spend', `/spend/${world.engineering}`, `/spend/${world.engineering}?view=members`, `/spend/${world.engineering}?range=year`]) {
    await visit(page, world.owner, path);
    const short = page.getByRole('region', { name: 'In short' });
    await expect(short, path).toContainText('Are we fine?');
    await expect(short, path).toContainText('What changed?');
    const bottom = await short.evaluate((it) => it.getBoundingClientRect().bottom);
    expect(bottom, path).toBeLessThanOrEqual(await page.evaluate(() => innerHeight));
  }
});

test('what is tapped is large enough to be hit', async ({ page, world }) => {
  for (const path of ['/users', `/groups/${world.research}`, '/authorization', '/limits']) {
    await visit(page, world.owner, path);
    const small = await page.locator('a.btn:visible, button:visible, label.btn:visible, .cell-link:visible, .tick-cell input:visible').evaluateAll((all) =>
      all
        .filter((it) => it.getBoundingClientRect().height < 24)
        .map((it) => `${it.textContent} ${Math.round(it.getBoundingClientRect().height)} px`),
    );
    expect(small, path).toEqual([]);
  }
});

test('a review says on a phone, too, what is decided', async ({ page, world }) => {
  const group = await world.owner.create('groups/create', { name: fresh('In the hand'), kind: 'custom', parent: '' });
  await join(world, fresh('Ida'), 'member', group);
  const due_on = new Date(Date.now() + 9 * 86_400_000).toISOString().slice(0, 10);
  const review = await world.owner.create('reviews/open', { group, due_on });
  await visit(page, world.owner, `/reviews/${review}`);
  const line = page.getByRole('row').filter({ hasText: 'Ida' });
  await expect(line.getByText('Membership')).toBeVisible();
  await expect(line.getByText('In the hand').first()).toBeVisible();
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  expect(wide).toBeLessThanOrEqual(0);
});

test('the limit of somebody is seen and set with a thumb', async ({ page, world }) => {
  const name = fresh('Thumb');
  await join(world, name, 'member');
  await visit(page, world.owner, `/users?q=${encodeURIComponent(name)}`);
  const row = page.getByRole('row').filter({ hasText: name });
  // Where it stands.
  await row.getByRole('link', { name: new RegExp(`set the limit of ${name}`) }).tap();
  await row.getByLabel(`Monthly limit of ${name}`).fill('12.345');
  await wholly(page, row);
  await row.getByRole('button', { name: 'Save' }).tap();
  await said(page, 'Limit set: $12.345 a month.');
  await expect(row.getByText('$12.345')).toBeVisible();
  // And from the menu of their line.
  await page.getByRole('button', { name: `Actions for ${name}` }).tap();
  await page.getByRole('link', { name: 'Set the limit', exact: true }).tap();
  const dialog = page.getByRole('dialog', { name: `Monthly limit of ${name}` });
  await dialog.getByLabel('Dollars a month').fill('7.50');
  await dialog.getByRole('button', { name: 'Save' }).tap();
  await said(page, 'Limit set: $7.50 a month.');
  await expect(row.getByText('$7.50')).toBeVisible();
});

/** Nothing of it is beyond the edge of the screen, and the page does not move sideways. */
async function wholly(page: Page, box: Locator): Promise<void> {
  const beyond = await box.evaluate((root) =>
    [root, ...root.querySelectorAll('a, button, input, .badge, .sub')]
      .filter((it) => it.checkVisibility() && !it.closest('.sr, [popover]'))
      .filter((it) => it.getBoundingClientRect().right > innerWidth - 8 || it.getBoundingClientRect().left < 0)
      .map((it) => `${it.tagName} ${it.textContent}`),
  );
  expect(beyond).toEqual([]);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  expect(wide, 'the page does not scroll sideways').toBeLessThanOrEqual(0);
  const inside = await box.evaluate((it) => {
    const scroll = it.closest('.scroll');
    return scroll ? scroll.scrollWidth - scroll.clientWidth : 0;
  });
  expect(inside, 'nor does what is in it').toBeLessThanOrEqual(0);
}

test('everything of somebody in the directory is reached without scrolling sideways, however long their name', async ({ page, world }) => {
  const word = fresh('Wolfeschlegelsteinhausenbergerdorff');
  const long = `${word} Featherstonehaugh`;
  await join(world, long, 'member', world.research);
  await visit(page, world.owner, `/users?q=${encodeURIComponent(word)}`);
  const row = page.getByRole('row').filter({ hasText: long });
  await wholly(page, row);
  for (const said of ['Month', 'Limit', 'Role', 'Status', 'Last call']) {
    const cell = row.locator(`td[data-th="${said}"]`);
    await expect(cell).toBeVisible();
    expect(await cell.evaluate((it) => getComputedStyle(it, '::before').content)).toBe(`"${said}"`);
  }
  await expect(row.getByRole('link', { name: 'Research' })).toBeVisible();
  await page.getByRole('button', { name: `Actions for ${long}` }).tap();
  const menu = page.locator('.menu:popover-open');
  await expect(menu.getByRole('link', { name: 'Set the limit' })).toBeVisible();
  const edge = await menu.evaluate((it) => [it.getBoundingClientRect().left, innerWidth - it.getBoundingClientRect().right]);
  expect(Math.min(...edge), 'all of the menu is on the screen').toBeGreaterThanOrEqual(0);
});

test('the directory is put in any of its orders on a phone', async ({ page, world }) => {
  const word = fresh('Sorted');
  const [first] = [await join(world, `A ${word}`, 'member'), await join(world, `B ${word}`, 'member')];
  await world.owner.post('users/limit', { id: first.id, was: '', cap: '70' });
  const names = page.locator('td.who b');
  await visit(page, world.owner, `/users?q=${encodeURIComponent(word)}`);
  await expect(names).toHaveText([`A ${word}`, `B ${word}`]);
  for (const [label, sort] of [
    ['Groups', 'groups'], ['Month', '-spend'], ['Limit', 'limit'], ['Used', '-used'], ['Status', 'status'], ['Last call', '-last_call'],
  ]) {
    await page.getByRole('button', { name: /^Sort by/ }).tap();
    await page.locator('#sort-by').getByRole('link', { name: label, exact: true }).tap();
    await expect(page).toHaveURL(new RegExp(`[?&]sort=${sort}(&|$)`));
  }
  await visit(page, world.owner, `/users?q=${encodeURIComponent(word)}&sort=limit`);
  await expect(names).toHaveText([`B ${word}`, `A ${word}`]);
  await page.getByRole('button', { name: /^Sort by/ }).tap();
  await page.getByRole('link', { name: 'Most or last on top' }).tap();
  await expect(names).toHaveText([`A ${word}`, `B ${word}`]);
  await page.getByRole('checkbox', { name: 'Everybody on this page' }).check();
  await expect(page.getByText('2 selected', { exact: true })).toBeVisible();
});
