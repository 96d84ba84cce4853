import { expect, fresh, join, said, test, visit } from './bursar';

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
  await expect(row.getByText('Limit $50.00 a month, the default')).toBeVisible();
  await page.getByRole('button', { name: `Actions for ${name}` }).tap();
  await page.getByRole('link', { name: 'Set the limit' }).tap();
  const dialog = page.getByRole('dialog', { name: `Monthly limit of ${name}` });
  await dialog.getByLabel('Dollars a month').fill('7.50');
  await dialog.getByRole('button', { name: 'Save' }).tap();
  await said(page, 'Limit set: $7.50 a month.');
  await expect(row.getByText('Limit $7.50 a month', { exact: true })).toBeVisible();
});
