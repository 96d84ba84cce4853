import { expect, fresh, said, test, visit } from './bursar';

test('every change is in the log, with before and after, and the chain holds', async ({ page, world }) => {
  const name = fresh('Logged');
  const id = await world.owner.create('groups/create', { name, kind: 'custom', parent: '' });
  await world.owner.post('groups/edit', { id, version: '1', name: `${name} II`, kind: 'project' });
  await visit(page, world.owner, '/audit');
  const row = page.getByRole('row').filter({ hasText: `${name} II` }).first();
  await expect(row).toContainText('Ada Lovelace');
  await expect(row).toContainText(`Name ${name} → ${name} II`);
  await page.getByRole('button', { name: 'Verify the chain' }).click();
  await expect(page.getByText(/All [\d,]+ changes are here, unaltered and in order/)).toBeVisible();
  await expect(page.getByText(/bursar verify --noted \d+:[0-9a-f]{16}/), 'what can be noted stays').toBeVisible();
});

test('settings are kept, and refused when they make no sense', async ({ page, world }) => {
  await visit(page, world.owner, '/settings');
  const settings = page.locator('form').filter({ has: page.getByLabel('Time zone') });
  await page.getByLabel('Time zone').fill('Mars/Olympus');
  await page.getByLabel('Whom refused callers should ask').fill('help@acme.example');
  await settings.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByText('Choose a time zone by its city')).toBeVisible();
  await expect(page.getByLabel('Whom refused callers should ask')).toHaveValue('help@acme.example');
  await page.getByLabel('Time zone').fill('Europe/Berlin');
  await settings.getByRole('button', { name: 'Save' }).click();
  await said(page, /saved/i);
});

test('a page that is not there says so', async ({ page, world }) => {
  await visit(page, world.owner, '/');
  for (const path of ['/nowhere', '/groups/grp_00000000000000000000000000', '/users/nonsense']) {
    expect((await page.goto(world.base + path))!.status(), path).toBe(404);
    await expect(page.locator('main')).toContainText(/not exist|nothing here|no such/i);
  }
});

test('light and dark are chosen, and stay', async ({ page, world }) => {
  await visit(page, world.owner, '/');
  await page.getByRole('button', { name: /dark/i }).first().click();
  await expect(page.locator('html')).toHaveAttribute('data-theme', 'dark');
  await page.goto(`${world.base}/groups`);
  await expect(page.locator('html')).toHaveAttribute('data-theme', 'dark');
  // What it leads to is waited for: a page that closes while it goes on to another one may hang.
  await page.getByRole('button', { name: /system/i }).first().click();
  await expect(page.locator('html')).not.toHaveAttribute('data-theme', 'dark');
});

test('the keyboard reaches the content at once', async ({ page, world }) => {
  await visit(page, world.owner, '/users');
  await page.keyboard.press('Tab');
  const skip = page.getByRole('link', { name: 'Skip to content' });
  await expect(skip).toBeFocused();
  await skip.press('Enter');
  await expect(page).toHaveURL(/#main$/);
});
