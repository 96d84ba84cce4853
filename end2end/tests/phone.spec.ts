import { expect, fresh, said, test, visit } from './bursar';

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
    const small = await page.locator('a.btn:visible, button:visible, label.btn:visible, .cell-link:visible').evaluateAll((all) =>
      all
        .filter((it) => it.getBoundingClientRect().height < 24)
        .map((it) => `${it.textContent} ${Math.round(it.getBoundingClientRect().height)} px`),
    );
    expect(small, path).toEqual([]);
  }
});
