import { chromium } from 'playwright-core';
const [,, base, who, out, scheme, width, ...paths] = process.argv;
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox','--disable-gpu','--disable-quic','--no-first-run','--disable-background-networking'] });
const ctx = await browser.newContext({ viewport: { width: +width, height: 860 }, colorScheme: scheme });
const page = await ctx.newPage();
await page.goto(base + '/sign-in');
await page.fill('input[name=email]', who + '@acme.example'); await page.fill('input[name=password]', 'this-is-a-demo');
await page.click('form button:has-text("Sign in")'); await page.waitForURL(u => !u.pathname.startsWith('/sign-in'));
let n = 0;
for (const p of paths) { await page.goto(base + p); await page.waitForTimeout(1200); await page.screenshot({ path: `${out}-${n++}.png`, fullPage: process.env.FULL === '1' }); }
await browser.close();
