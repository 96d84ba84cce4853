// Recommendations need figures of months: the demo has them.
import { expect, test } from '@playwright/test';
import { start } from './server';

test('what is recommended is one click from the form that does it, filled in, and gone once it is done', async ({ page }) => {
  // Three months are filled before it can be looked at, with calls enough that a cheaper model is worth a
  // look whatever the dice say.
  test.setTimeout(240_000);
  const server = await start('demo', '--calls', '12000', '--quiet');
  try {
    await page.goto(`${server.base}/sign-in`);
    await page.getByLabel('Email').fill('olga@acme.example');
    await page.getByLabel('Password').fill('this-is-a-demo');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.waitForURL((url) => !url.pathname.startsWith('/sign-in'));
    const list = page.locator('li.recommendation');
    // They are looked for when the server starts.
    await expect(async () => {
      await page.goto(`${server.base}/recommendations`);
      await expect(list.first()).toBeVisible({ timeout: 500 });
    }).toPass();

    const limit = list.filter({ has: page.getByRole('link', { name: /^Lower it to/ }) }).first();
    await expect(limit).toBeVisible();
    const [title, to] = [await limit.locator('b').first().innerText(), await limit.getByRole('link', { name: /^Lower it to/ }).innerText()];
    await limit.getByRole('link', { name: /^Lower it to/ }).click();
    const dialog = page.getByRole('dialog');
    await expect(dialog.locator('input[name=cap]')).toHaveValue(to.replace(/[^0-9.]/g, ''));
    await dialog.getByRole('button', { name: /^(Save|Set)/ }).click();
    await expect(page.getByText('Limit set')).toBeVisible();
    await page.goto(`${server.base}/recommendations`);
    await expect(page.getByText(title, { exact: true })).toHaveCount(0);

    const rule = list.filter({ has: page.getByRole('link', { name: 'Make it by request' }) }).first();
    await expect(rule).toBeVisible();
    const about = await rule.locator('b').first().innerText();
    await rule.getByRole('link', { name: 'Make it by request' }).click();
    await expect(page.getByLabel('Here', { exact: true })).toHaveValue('by_request');
    await page.getByRole('button', { name: 'Preview' }).click();
    await page.getByRole('button', { name: 'Save 1 change' }).click();
    await expect(page.getByText(/saved/i).first()).toBeVisible();
    await page.goto(`${server.base}/recommendations`);
    await expect(page.getByText(about, { exact: true })).toHaveCount(0);
  } finally {
    // An open page listens, and a server that stops waits for it.
    await page.goto('about:blank');
    await server.stop();
  }
});
