import { expect, fresh, test, visit } from './bursar';

test('the tree of groups is walked, folded and searched by keys', async ({ page, world }) => {
  const [above, one, two] = [fresh('Zebra'), fresh('Yak'), fresh('Yeti')];
  const top = await world.owner.create('groups/create', { name: above, kind: 'custom', parent: '' });
  for (const name of [one, two]) await world.owner.create('groups/create', { name, kind: 'custom', parent: top });
  await visit(page, world.owner, '/groups');
  const row = (name: string) => page.getByRole('row').filter({ has: page.getByRole('link', { name, exact: true }) });
  // From the heading on the first stop within the table is a row; letters lead on.
  await page.getByRole('treegrid').getByRole('row').nth(1).focus();
  await page.keyboard.type('zebra');
  await expect(row(above)).toBeFocused();
  await expect(row(above)).toHaveAttribute('aria-level', '1');
  if ((await row(above).getAttribute('aria-expanded')) === 'true') {
    await page.keyboard.press('ArrowLeft');
    await expect(row(above)).toHaveAttribute('aria-expanded', 'false');
    await expect(row(above)).toBeFocused();
  }
  await expect(row(one)).toHaveCount(0);
  await page.keyboard.press('ArrowRight');
  await expect(row(above)).toHaveAttribute('aria-expanded', 'true');
  await expect(row(above), 'the focus stays where it was').toBeFocused();
  await page.keyboard.press('ArrowRight');
  await expect(row(one)).toBeFocused();
  await expect(row(one)).toHaveAttribute('aria-level', '2');
  await page.keyboard.press('ArrowDown');
  await expect(row(two)).toBeFocused();
  await page.keyboard.press('ArrowLeft');
  await expect(row(above)).toBeFocused();
  await page.keyboard.press('Home');
  await expect(page.getByRole('treegrid').getByRole('row').nth(1)).toBeFocused();
  await page.keyboard.press('End');
  await expect(page.getByRole('treegrid').getByRole('row').last()).toBeFocused();
  await row(one).focus();
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { name: one, level: 1 })).toBeVisible();
});
