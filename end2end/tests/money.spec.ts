import { application, call, expect, fresh, test, visit } from './bursar';

test('a call’s cost is on the page of its group a moment later', async ({ page, world }) => {
  const name = fresh('Finance');
  const group = await world.owner.create('groups/create', { name, kind: 'department', parent: world.engineering });
  const bot = fresh('clerk');
  const { secret } = await application(world, bot, group);
  await visit(page, world.owner, `/spend/${group}`);
  await expect(page.getByText(/no calls|nothing/i).first(), 'an empty page says so').toBeVisible();
  expect((await call(world, secret)).status).toBe(200);
  // 1000 tokens in at $0.10 and 500 out at $0.40 a million.
  await expect(async () => {
    await page.goto(`${world.base}/spend/${group}`);
    for (const what of ['$0.0003', bot, 'small-chat']) {
      await expect(page.locator('main')).toContainText(what, { timeout: 500 });
    }
  }).toPass({ timeout: 15_000 });

  await page.goto(`${world.base}/spend`);
  await expect(page.getByRole('link', { name: 'Engineering' }).first()).toBeVisible();
  await page.goto(`${world.base}/calls`);
  await expect(page.getByRole('row').filter({ hasText: bot })).toContainText('small-chat');
});

test('the overview leads to what it counts', async ({ page, world }) => {
  await visit(page, world.owner, '/');
  await expect(page.getByRole('heading', { name: 'Acme', level: 1 })).toBeVisible();
  await page.goto(`${world.base}/spend/${world.engineering}?view=member`);
  await expect(page.locator('main')).toContainText(/overlap|member/i);
});
