import { alive, expect, fresh, join, said, test, visit } from './bursar';

/** Several people with one word in their names. */
async function people(world: any, word: string, letters: string): Promise<string[]> {
  const ids = [];
  for (const letter of letters) ids.push((await join(world, `${letter} ${word}`, 'member')).id);
  return ids;
}

test('a limit is set where it stands without leaving the keyboard', async ({ page, world }) => {
  const word = fresh('Keyed');
  const [id] = await people(world, word, 'A');
  await visit(page, world.owner, `/users?q=${encodeURIComponent(word)}`);
  const link = page.getByRole('link', { name: /set the limit of/ });
  const cap = page.getByRole('textbox', { name: /Monthly limit of/ });
  await link.press('Enter');
  await expect(cap).toBeFocused();
  await page.keyboard.press('Escape');
  await expect(cap).toHaveCount(0);
  await expect(link).toBeFocused();
  await page.keyboard.press('Enter');
  await expect(cap).toBeFocused();
  await page.keyboard.type('31');

  // Somebody else was first: what is said about it does not push the columns away.
  await world.owner.post('users/limit', { id, was: '', cap: '40' });
  await page.keyboard.press('Enter');
  await expect(page.getByText('You, in another tab, saved: 40')).toBeVisible();
  await expect(page.getByRole('button', { name: `Actions for A ${word}` })).toBeInViewport();
  const wide = await page.getByRole('region', { name: 'Users' }).evaluate((box) => box.scrollWidth - box.clientWidth);
  expect(wide, 'nothing is off screen').toBeLessThanOrEqual(0);
  // The form that came with it has to be alive: without script it would be sent by the browser.
  await alive(page);
  await cap.press('Enter');
  await said(page, 'Limit set: $31.00 a month.');
  await expect(cap).toHaveCount(0);
});

test('who is ticked stays so, whatever the list is narrowed to', async ({ page, world }) => {
  const word = fresh('Kept');
  await people(world, word, 'ABC');
  await visit(page, world.owner, `/users?q=${encodeURIComponent(word)}`);
  for (const letter of 'AB') await page.getByRole('checkbox', { name: `Select ${letter} ${word}` }).check();
  await expect(page.getByText('2 selected', { exact: true })).toBeVisible();
  await page.getByRole('button', { name: /^Status/ }).click();
  await page.getByRole('link', { name: 'Suspended' }).click();
  await expect(page.getByText('2 selected, 2 that this filter does not show')).toBeVisible();
  await page.getByRole('link', { name: 'Show everybody' }).first().click();
  await expect(page).toHaveURL(/\/users$/);
  await expect(page.getByText('Nobody matches')).toHaveCount(0);
  const search = page.getByRole('searchbox', { name: 'Name or email' });
  await search.fill(`A ${word}`);
  await search.press('Enter');
  await expect(page.getByText('2 selected, 1 that this filter does not show')).toBeVisible();
  await expect(search).toBeFocused();
  await expect(page.getByRole('checkbox', { name: `Select A ${word}` })).toBeChecked();
  await page.getByRole('button', { name: 'Set limit…' }).click();
  await expect(page.getByRole('heading', { level: 1 })).toContainText('2 people');
});

test('going back finds a long list where it was', async ({ page, world }) => {
  const word = fresh('Long');
  await people(world, word, 'ABCDEFGH');
  await page.setViewportSize({ width: 1280, height: 420 });
  await visit(page, world.owner, `/users?q=${encodeURIComponent(word)}`);
  await page.evaluate(() => window.scrollTo(0, 300));
  const down = await page.evaluate(() => window.scrollY);
  expect(down).toBeGreaterThan(100);
  await page.getByRole('link', { name: `H ${word}`, exact: true }).click();
  await expect(page.getByRole('heading', { name: `H ${word}`, level: 1 })).toBeVisible();
  await page.goBack();
  await expect(page.getByRole('link', { name: `A ${word}`, exact: true })).toBeAttached();
  await expect.poll(() => page.evaluate(() => window.scrollY)).toBe(down);
});

test('who is suspended is let in again by the menu of their line', async ({ page, world }) => {
  const word = fresh('Again');
  const [id] = await people(world, word, 'A');
  await world.owner.post('users/suspend', { id, suspended: 'true' });
  await visit(page, world.owner, `/users?q=${encodeURIComponent(word)}`);
  await page.getByRole('button', { name: `Actions for A ${word}` }).click();
  await page.getByRole('button', { name: 'Let in again' }).click();
  await said(page, /They can sign in again/);
});
