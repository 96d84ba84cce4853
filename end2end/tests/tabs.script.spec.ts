// A browser opens six connections to a host: pages that listen must not take them all.
import { application, call, expect, fresh, test, visit } from './bursar';
import type { Page } from '@playwright/test';

/** Makes a page hidden, or shown again, as a browser does with tabs. */
const turn = (page: Page, hidden: boolean) =>
  page.evaluate((hidden) => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event('visibilitychange'));
  }, hidden);

test('eight pages of one person are open at once, and what is booked comes to those that are shown', async ({ page, world }) => {
  const { secret } = await application(world, fresh('till'), world.research);
  expect((await call(world, secret)).status).toBe(200);
  const pages = [page];
  const listening = page.waitForResponse((response) => response.url().includes('/live?since='));
  await visit(page, world.owner, '/spend');
  await listening;
  for (let number = 2; number <= 8; number += 1) {
    const another = await page.context().newPage();
    await another.goto(page.url());
    pages.push(another);
  }
  for (const one of pages) await expect(one.getByRole('heading', { level: 1 })).toHaveText(/Spend/);
  // Whoever is hidden neither listens nor looks.
  const [hidden, ...shown] = pages;
  await turn(hidden, true);
  for (const one of pages) await one.locator('#main').evaluate((main) => main.setAttribute('data-old', ''));
  expect((await call(world, secret)).status).toBe(200);
  for (const one of shown) await expect(one.locator('#main:not([data-old])'), 'it is drawn anew').toBeVisible();
  await expect(hidden.locator('#main[data-old]')).toBeVisible();
  await turn(hidden, false);
  await expect(hidden.locator('#main:not([data-old])'), 'it catches up').toBeVisible();

  // The one that listens goes, and the next takes its turn.
  for (const one of pages.slice(1, 6)) await one.close();
  const left = [page, ...pages.slice(6)];
  for (const one of left) await one.locator('#main').evaluate((main) => main.setAttribute('data-old', ''));
  expect((await call(world, secret)).status).toBe(200);
  for (const one of left) await expect(one.locator('#main:not([data-old])')).toBeVisible();
  await left[0].locator('nav a[href="/audit"]').first().click();
  await expect(left[0].getByRole('heading', { level: 1 })).toContainText('Audit');
  for (const one of left.slice(1)) await one.close();
});
