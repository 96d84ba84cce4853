import { defineConfig } from '@playwright/test';

// The browser is the one the system has: nothing is downloaded. `cargo xtask test` says where it is.
const chromium = process.env.BURSAR_CHROMIUM ?? '/usr/bin/chromium';

const desktop = { viewport: { width: 1280, height: 800 } };

export default defineConfig({
  testDir: './tests',
  outputDir: './test-results',
  fullyParallel: true,
  forbidOnly: true,
  workers: 2,
  // A test that fails once has failed.
  retries: 0,
  reporter: 'list',
  // What is wrong never comes right; what is right may take its time on a machine that is busy.
  timeout: 60_000,
  expect: { timeout: 15_000 },
  use: {
    trace: 'retain-on-failure',
    screenshot: 'only-on-failure',
    launchOptions: {
      executablePath: chromium,
      args: [
        // Root, as in a container, has no sandbox to offer; every page here is our own.
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    },
  },
  projects: [
    // Every page, in every look. First, because it takes longest.
    { name: 'pages', testMatch: /pages\.spec/, use: desktop },
    { name: 'hydrated', testIgnore: /(pages|phone)\.spec/, use: desktop },
    { name: 'noscript', testIgnore: /(pages|phone|script)\.spec/, use: { ...desktop, javaScriptEnabled: false } },
    {
      name: 'phone',
      testMatch: /phone\.spec/,
      use: { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true },
    },
  ],
});
