// The matrix as a grid: what only script does.
import { application, call, expect, fresh, type Page, said, test, visit, type World } from './bursar';

async function teams(world: World): Promise<{ stem: string; ids: string[]; secrets: string[] }> {
  const stem = fresh('Grid');
  const [ids, secrets]: [string[], string[]] = [[], []];
  for (const name of ['one', 'two', 'three']) {
    const group = await world.owner.create('groups/create', { name: `${stem} ${name}`, kind: 'function', parent: world.engineering });
    ids.push(group);
    secrets.push((await application(world, fresh('grid'), group)).secret);
  }
  // In the order of their names: one, three, two.
  return { stem, ids: [ids[0], ids[2], ids[1]], secrets: [secrets[0], secrets[2], secrets[1]] };
}

const cell = (page: Page, group: string, target: string) => page.locator(`td[data-cell="${group}~${target}"]`);
const bar = (page: Page) => page.locator('.mx-bar');
const announced = (page: Page) => page.locator('.mx-said');

test('a range is closed from the keyboard, taken back, previewed and saved', async ({ page, world }) => {
  const { stem, ids, secrets } = await teams(world);
  const tier = `tier:${world.tier}`;
  await visit(page, world.owner, `/authorization?q=${encodeURIComponent(stem)}&open=${world.tier}`);
  await expect(bar(page)).toBeHidden();
  // From the first corner to the last, and back by a row and a column.
  const every = page.locator('.matrix tbody td[data-cell]');
  const chosen = page.locator('td[aria-selected="true"]');
  const rows = page.locator('.matrix tbody tr').filter({ has: page.locator('td[data-cell]') });
  const [all, high] = [await every.count(), await rows.count()];
  await cell(page, ids[0], 'all').getByRole('link').focus();
  await page.keyboard.press('Control+Home');
  await expect(every.first().locator('a')).toBeFocused();
  await page.keyboard.press('Control+Shift+End');
  await expect(chosen).toHaveCount(all);
  await page.keyboard.press('Shift+ArrowUp');
  await expect(chosen).toHaveCount(all - all / high);
  await page.keyboard.press('Shift+ArrowLeft');
  await expect(chosen).toHaveCount(all - all / high - high + 1);
  await page.keyboard.press('Shift+PageUp');
  await expect(chosen).toHaveCount(all / high - 1);
  await page.keyboard.press('Escape');
  await expect(chosen).toHaveCount(0);
  await cell(page, ids[0], 'all').getByRole('link').focus();
  await page.keyboard.press('ArrowRight');
  await expect(cell(page, ids[0], tier).locator('a')).toBeFocused();
  await page.keyboard.press('Shift+ArrowDown');
  await page.keyboard.press('Shift+End');
  await expect(page.locator('td[aria-selected="true"]')).toHaveCount(4);
  await page.keyboard.press('Space');
  await expect(bar(page)).toContainText('4 pending changes');
  await expect(cell(page, ids[1], `model:${world.model}`)).toContainText('Open');
  await page.keyboard.press('Space');
  await expect(cell(page, ids[1], tier).locator('.mx-next')).toHaveText('By request');
  await page.keyboard.press('c');
  await page.keyboard.press('l');
  await expect(cell(page, ids[1], tier).locator('.mx-next')).toHaveText('Closed, locked');
  await expect(announced(page)).toHaveText('4 cells: Closed, locked, staged. 4 pending changes.');
  await page.keyboard.press('Control+z');
  await expect(cell(page, ids[1], tier).locator('.mx-next')).toHaveText('Closed');
  // Escape lets the range go, then clears the one cell.
  await page.keyboard.press('Escape');
  await expect(page.locator('td[aria-selected="true"]')).toHaveCount(0);
  await page.keyboard.press('Escape');
  await expect(bar(page)).toContainText('3 pending changes');
  await page.keyboard.press('Home');
  await expect(cell(page, ids[1], 'all').locator('a')).toBeFocused();
  await page.keyboard.press('PageDown');
  await expect(cell(page, ids[2], 'all').locator('a')).toBeFocused();
  await page.keyboard.press('r');
  await page.keyboard.press('Delete');
  await expect(bar(page)).toContainText('3 pending changes');
  expect((await call(world, secrets[0])).status, 'nothing is live').toBe(200);

  await bar(page).getByRole('button', { name: 'Preview' }).press('Enter');
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('3 changes, not live yet');
  await page.getByRole('link', { name: 'Keep editing' }).press('Enter');
  await expect(bar(page)).toContainText('3 pending changes');
  await bar(page).getByRole('button', { name: 'Preview' }).press('Enter');
  await page.getByRole('button', { name: 'Save 3 changes' }).press('Enter');
  await said(page, '3 changes saved.');
  await expect(bar(page)).toBeHidden();
  for (const [place, status] of [404, 404, 200].entries()) expect((await call(world, secrets[place])).status).toBe(status);
});

test('a click opens a menu at the cell, Shift and a click make a range, and Tab finds one cell', async ({ page, world }) => {
  const { stem, ids } = await teams(world);
  const tier = `tier:${world.tier}`;
  await visit(page, world.owner, `/authorization?q=${encodeURIComponent(stem)}`);
  await cell(page, ids[0], tier).getByRole('link').click();
  const menu = page.getByRole('menu', { name: 'This cell' });
  await expect(menu.getByRole('menuitem', { name: 'Open' })).toBeFocused();
  await page.keyboard.press('ArrowDown');
  await expect(menu.getByRole('menuitem', { name: 'By request' })).toBeFocused();
  await page.keyboard.press('Escape');
  await expect(menu).toBeHidden();
  await expect(cell(page, ids[0], tier).locator('a')).toBeFocused();
  await cell(page, ids[2], tier).getByRole('link').click({ modifiers: ['Shift'] });
  await expect(page.locator('td[aria-selected="true"]')).toHaveCount(3);
  await cell(page, ids[1], tier).getByRole('link').click();
  await expect(menu).toContainText('3 cells');
  await menu.getByRole('menuitem', { name: 'By request' }).click();
  await expect(bar(page)).toContainText('3 pending changes');
  await expect(page.locator('.matrix td a[tabindex="0"]'), 'one cell is in the order of Tab').toHaveCount(1);
  await bar(page).getByRole('link', { name: 'Discard' }).click();
  await expect(bar(page)).toBeHidden();
  await cell(page, ids[1], tier).getByRole('link').click();
  await menu.getByRole('menuitem', { name: 'Quotas, end, history…' }).click();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(`tier general for ${stem} three`);
});

test('leaving with something staged asks first, and staying keeps it', async ({ page, world }) => {
  const { stem, ids } = await teams(world);
  await visit(page, world.owner, `/authorization?q=${encodeURIComponent(stem)}`);
  await cell(page, ids[0], 'all').getByRole('link').focus();
  await page.keyboard.press('c');
  const users = page.getByRole('link', { name: 'Users' }).first();
  await users.click();
  const dialog = page.getByRole('dialog', { name: 'Leave without saving?' });
  await expect(dialog).toContainText('1 pending change would be gone.');
  await dialog.getByRole('button', { name: 'Stay here' }).click();
  await expect(bar(page)).toContainText('1 pending change');
  // Unfolding a tier is no leaving.
  await page.getByRole('link', { name: 'Unfold general' }).click();
  await expect(cell(page, ids[0], `model:${world.model}`)).toBeVisible();
  await expect(cell(page, ids[0], 'all').locator('.mx-next')).toHaveText('Closed');
  // Neither is looking for a group, or for a model.
  await page.getByRole('searchbox', { name: 'Find a group' }).fill(`${stem} one`);
  await page.getByRole('searchbox', { name: 'Find a model' }).fill('small');
  await page.getByRole('button', { name: 'Find', exact: true }).click();
  await expect(page).toHaveURL(/model=small/);
  await expect(bar(page)).toContainText('1 pending change');
  await expect(cell(page, ids[0], 'all').locator('.mx-next')).toHaveText('Closed');
  const asked = page.waitForEvent('dialog');
  const closing = page.close({ runBeforeUnload: true });
  const browser = await asked;
  expect(browser.type()).toBe('beforeunload');
  await browser.dismiss();
  await closing;
  await users.click();
  await dialog.getByRole('button', { name: 'Discard and leave' }).click();
  await expect(page).toHaveURL(/\/users$/);
  await page.goBack();
  await expect(bar(page)).toBeHidden();
});
