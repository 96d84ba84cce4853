import { existsSync, statfsSync } from 'node:fs';
import { defineConfig } from '@playwright/test';

// The browser is the one the system has: nothing is downloaded. `cargo xtask test` says where it is.
const chromium = process.env.BURSAR_CHROMIUM ?? '/usr/bin/chromium';

// Playwright has Chromium keep the memory its processes share in files on the disk, because containers
// often have little of the other kind. On a disk that is nearly full pages then crash, or lose what they load
// (ERR_INSUFFICIENT_RESOURCES). Where there is memory enough, it is used.
const shared = existsSync('/dev/shm') ? statfsSync('/dev/shm') : { bavail: 0, bsize: 0 };
const roomy = shared.bavail * shared.bsize >= 2 ** 30;

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
      ignoreDefaultArgs: roomy ? ['--disable-dev-shm-usage'] : [],
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
    // Every page, in every look. First, because it takes longest; without a trace, which would be gigabytes.
    { name: 'pages', testMatch: /pages\.spec/, use: { ...desktop, trace: 'off' } },
    { name: 'hydrated', testIgnore: /(pages|phone)\.spec/, use: desktop },
    { name: 'noscript', testIgnore: /(pages|phone|script)\.spec/, use: { ...desktop, javaScriptEnabled: false } },
    {
      name: 'phone',
      testMatch: /phone\.spec/,
      use: { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true },
    },
  ],
});
