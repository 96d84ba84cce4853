// What only script does: the project without script leaves this file out.
import { alive, expect, fresh, test, visit } from './bursar';

test('a dialog keeps the focus, closes with Escape and with Back, and leaves the page alone', async ({ page, world }) => {
  await visit(page, world.owner, '/groups');
  await page.evaluate(() => Object.assign(window, { mark: 'still this page' }));
  const dialog = page.getByRole('dialog');
  await page.getByRole('link', { name: 'New group' }).click();
  await expect(dialog.getByLabel('Name')).toBeVisible();
  await expect(page).toHaveURL(/dialog=new/);
  for (let step = 0; step < 12; step++) {
    await page.keyboard.press('Tab');
    expect(await page.evaluate(() => document.activeElement === document.body || !!document.activeElement!.closest('dialog'))).toBe(true);
  }
  await page.keyboard.press('Escape');
  await expect(dialog).toHaveCount(0);
  await expect(page).toHaveURL(/\/groups$/);
  await expect(page.getByRole('link', { name: 'New group' }), 'the focus is back where it was').toBeFocused();
  await page.getByRole('link', { name: 'New group' }).press('Enter');
  await expect(dialog).toBeVisible();
  await page.goBack();
  await expect(dialog).toHaveCount(0);
  expect(await page.evaluate(() => (window as unknown as { mark: string }).mark)).toBe('still this page');
});

test('going to another page moves the focus and the title, and Back comes back', async ({ page, world }) => {
  await visit(page, world.owner, '/groups');
  await page.getByRole('link', { name: 'Users' }).first().click();
  await expect(page).toHaveURL(/\/users$/);
  await expect(page).toHaveTitle('Users · Bursar');
  await expect(page.locator('main')).toBeFocused();
  await page.goBack();
  await expect(page.getByRole('heading', { name: 'Groups', level: 1 })).toBeVisible();
});

test('what is typed before the script arrives stays', async ({ page, world }) => {
  let arrive = () => {};
  const later = new Promise<void>((now) => (arrive = now));
  await page.route('**/*.wasm', async (route) => {
    await later;
    await route.continue();
  });
  await page.context().addCookies(world.owner.session());
  // Not `page.goto`, which waits for the script.
  await page.evaluate((where) => location.assign(where), `${world.base}/groups?dialog=new`).catch(() => {});
  const name = fresh('Early');
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name').fill(name);
  arrive();
  await alive(page);
  await expect(dialog.getByLabel('Name')).toHaveValue(name);
  await dialog.getByRole('button', { name: 'Create the group' }).click();
  await expect(page.getByRole('heading', { name, level: 1 })).toBeVisible();
});

test('a secret is copied with a button', async ({ page, world }) => {
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  const id = await world.owner.create('applications/create', { name: fresh('copied'), group: world.research });
  await visit(page, world.owner, `/applications/${id}?dialog=secret`);
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Make the secret' }).click();
  await dialog.getByRole('button', { name: 'Copy' }).first().click();
  await expect(dialog.getByRole('button', { name: 'Copied' })).toBeVisible();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toMatch(/^bsr_live_[0-9A-Za-z]{36}$/);
});

test('the box in the head ticks the page, and what is ticked stays so on other pages of the list', async ({ page, world }) => {
  const word = fresh('Ticked');
  for (const letter of ['A', 'B']) {
    await world.owner.post('users/create', { name: `${letter} ${word}`, email: `${letter}.${word.replace(' ', '.')}@acme.example`, role: 'member' });
  }
  await visit(page, world.owner, `/users?q=${encodeURIComponent(word)}`);
  await page.getByRole('checkbox', { name: 'Everybody on this page' }).check();
  const count = page.locator('.ticked');
  await expect(count).toHaveText('2 selected');
  await page.getByRole('columnheader', { name: 'Limit' }).getByRole('link').click();
  await expect(page.getByRole('checkbox', { name: `Select A ${word}` })).toBeChecked();
  await page.getByRole('checkbox', { name: `Select A ${word}` }).uncheck();
  await expect(count).toHaveText('1 selected');
  await page.getByRole('link', { name: 'Show everybody' }).click();
  await expect(page).toHaveURL(/\/users\?sort=limit$/);
  await page.getByRole('button', { name: 'Role', exact: true }).click();
  await page.getByRole('link', { name: 'Owner', exact: true }).click();
  await expect(count).toHaveText('1 selected, 1 that this filter does not show');
  await page.getByRole('button', { name: 'Suspend…' }).click();
  await expect(page.getByRole('row', { name: `B ${word}` })).toBeVisible();
});
