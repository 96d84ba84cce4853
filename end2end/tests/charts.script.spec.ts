import { alive, application, call, expect, fresh, test, visit } from './bursar';

test('a chart is read out by keyboard, drawn over, and things of it are hidden; all of it is in the address', async ({ page, world }) => {
  const group = await world.owner.create('groups/create', { name: fresh('Quay'), kind: 'project', parent: world.engineering });
  for (const name of ['crane', 'winch']) {
    const { secret } = await application(world, fresh(name), group);
    expect((await call(world, secret)).status).toBe(200);
  }
  await expect(async () => expect(await world.owner.page(`/spend/${group}`)).toContain('$0.0006')).toPass({ timeout: 15_000 });

  await visit(page, world.owner, `/spend/${group}?range=days`);
  await alive(page);
  const steps = page.locator('svg.large [data-step]');
  const read = page.locator('.read-out');
  const last = (await steps.count()) - 1;
  await steps.nth(last).focus();
  await expect(read).toContainText(/\$0\.0006 .*crane.* \$0\.0003/);
  await page.keyboard.press('ArrowLeft');
  await expect(steps.nth(last - 1)).toBeFocused();
  await expect(read).toContainText('$0');
  await page.keyboard.press('Shift+ArrowRight');
  await expect(page.locator('svg.large [data-picked]')).toHaveCount(2);
  const [from, to] = [await steps.nth(last - 1).getAttribute('data-from'), await steps.nth(last).getAttribute('data-to')];
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(new RegExp(`/spend/${group}\\?range=own&by=application&from=${from}&to=${to}$`));
  await expect(page.getByRole('heading', { name: 'The days you chose' })).toBeVisible();
  await expect(page.getByLabel('From')).toHaveValue(from!);

  // By hand, over seven days of the ninety.
  await page.goto(`${world.base}/spend/${group}?range=days`);
  await alive(page);
  await steps.nth(last).waitFor();
  const box = async (place: number) => (await steps.nth(place).locator('.hit').boundingBox())!;
  const [start, end] = [await box(last - 6), await box(last)];
  await page.mouse.move(start.x + start.width / 2, start.y + 40);
  await page.mouse.down();
  await page.mouse.move(end.x + end.width / 2, end.y + 40, { steps: 8 });
  await page.mouse.up();
  await expect(page).toHaveURL(/range=own/);
  await expect(page.getByText('Against the 7 days before')).toBeVisible();

  const parts = () => page.locator('svg.large [data-amount]').count();
  expect(await parts()).toBe(2);
  await page.locator('.legend').getByRole('link', { name: 'crane' }).click();
  await expect(page).toHaveURL(/hide=app_/);
  expect(await parts()).toBe(1);
  await page.reload();
  expect(await parts()).toBe(1);
  await page.locator('.legend').getByRole('link', { name: 'crane' }).click();
  await expect(page).not.toHaveURL(/hide=/);

  const file = await world.owner.page((await page.getByRole('link', { name: 'Download CSV' }).getAttribute('href'))!);
  const amounts = file.trim().split('\r\n').slice(1).map((line) => Number(line.split(',')[4]));
  expect(amounts).toEqual([0.0003, 0.0003]);
});
