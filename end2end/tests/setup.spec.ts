import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, PASSWORD, refused, shownSecret, test } from './bursar';
import { Console } from './console';
import { start } from './server';
import { upstream } from './upstream';

test('from the first start to the first answer', async ({ page, javaScriptEnabled }) => {
  test.setTimeout(120_000);
  const [server, provider] = [await start('serve'), await upstream()];
  try {
    await page.goto(`${server.base}/`);
    await expect(page).toHaveURL(/\/setup/);
    await page.goto(`${server.base}/setup?token=${server.token}`);

    await expect(page.getByRole('heading', { name: 'The first owner' })).toBeVisible();
    await page.getByLabel('Your name').fill('Ada Lovelace');
    await page.getByLabel('Email').fill('not an address');
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await page.getByLabel('Password again').fill(PASSWORD);
    await page.getByRole('button', { name: 'Create the owner' }).click();
    await refused(page.getByLabel('Email'), 'not an address', /Enter an email address like/);
    await expect(page.getByLabel('Your name')).toHaveValue('Ada Lovelace');
    await page.getByLabel('Email').fill('ada@acme.example');
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await page.getByLabel('Password again').fill(PASSWORD);
    await page.getByRole('button', { name: 'Create the owner' }).click();

    await expect(page.getByRole('heading', { name: 'Your organization' })).toBeVisible();
    await page.getByLabel('Name', { exact: true }).fill('Acme');
    await page.getByRole('button', { name: 'Create the organization' }).click();

    await expect(page.getByRole('heading', { name: 'A provider' })).toBeVisible();
    await page.getByLabel('Name', { exact: true }).fill('House');
    await page.getByLabel('Address').fill(provider.url);
    await page.getByLabel('API key').fill('sk-wrong');
    await page.getByLabel('It is on this machine').check();
    await page.getByRole('button', { name: 'Test connection' }).click();
    await expect(page.getByText(/refused the key|does not take the key|401/i)).toBeVisible();
    await expect(page.getByLabel('Address')).toHaveValue(provider.url);
    await page.getByLabel('API key').fill('sk-upstream');
    await page.getByRole('button', { name: 'Test connection' }).click();
    await expect(page.getByText('tiny-1')).toBeVisible();
    await page.getByLabel('API key').fill('sk-upstream');
    await page.getByRole('button', { name: 'Add the provider' }).click();

    await expect(page.getByRole('heading', { name: 'A model and its price' })).toBeVisible();
    await page.getByLabel('Name for callers').fill('small-chat');
    await page.getByLabel('Name at the provider').fill('tiny-1');
    await page.getByLabel('Most output, tokens').fill('1024');
    await page.getByLabel('Input, $').fill('0.10');
    await page.getByLabel('Output, $').fill('0.40');
    await page.getByRole('button', { name: 'Add the model' }).click();

    await expect(page.getByRole('heading', { name: 'A group' })).toBeVisible();
    await page.getByLabel('Name', { exact: true }).fill('Engineering');
    await page.getByRole('button', { name: 'Create the group' }).click();

    await expect(page.getByRole('heading', { name: 'An application' })).toBeVisible();
    await page.getByLabel('Name', { exact: true }).fill('research-bot');
    await page.getByRole('button', { name: 'Create the application' }).click();

    await expect(page.getByRole('heading', { name: 'A secret for research-bot' })).toBeVisible();
    await page.getByRole('button', { name: 'Make a secret' }).click();
    const secret = await shownSecret(page);
    const command = (await page.getByText(/curl http/).first().textContent())!;
    const answer = await promisify(execFile)('sh', ['-c', command], { timeout: 10_000 });
    expect(answer.stdout, 'the command works as it is').toContain('Hello from the model.');

    await page.getByLabel('Secret', { exact: true }).fill(secret);
    await page.getByRole('button', { name: 'Make the call' }).click();
    await expect(page.getByText('Hello from the model.')).toBeVisible();

    await page.getByRole('link', { name: 'To the overview' }).click();
    await expect(page.getByRole('heading', { name: 'Acme', level: 1 })).toBeVisible();
    expect((await page.goto(`${server.base}/setup?token=${server.token}`))!.status()).toBe(404);

    await page.goto(server.base);
    if (javaScriptEnabled !== false) await expect(page.locator('body')).not.toContainText(secret);
  } finally {
    // First, or the page complains that its server is gone.
    await page.close();
    await server.stop();
    provider.close();
  }
});

test('of two who set up at once one becomes the owner', async ({ page, javaScriptEnabled }) => {
  test.slow();
  const server = await start('serve');
  try {
    await page.goto(`${server.base}/setup?token=wrong`);
    await expect(page.getByText('not the token in the server')).toBeVisible();
    await page.goto(`${server.base}/setup`);
    await page.getByLabel('Token from the log').fill(server.token!);
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByLabel('Your name').fill('Too Late');

    const fields = { token: server.token!, name: 'Ada', password: PASSWORD, again: PASSWORD };
    const tries = ['a', 'b'].map((who) => new Console(server.base).post('setup/owner', { ...fields, email: `${who}@acme.example` }));
    const ways = (await Promise.allSettled(tries)).map((outcome) => outcome.status).sort();
    expect(ways).toEqual(['fulfilled', 'rejected']);

    await page.getByLabel('Email').fill('late@acme.example');
    for (const label of ['Password', 'Password again']) await page.getByLabel(label, { exact: true }).fill(PASSWORD);
    await page.getByRole('button', { name: 'Create the owner' }).click();
    if (javaScriptEnabled === false) {
      await expect(page.getByRole('heading', { name: 'Not found' })).toBeVisible();
    } else {
      await expect(page.getByRole('alert').filter({ hasText: 'it was used already' })).toBeVisible();
      await expect(page.getByLabel('Your name')).toHaveValue('Too Late');
    }
    expect((await page.goto(`${server.base}/setup?token=${server.token}`))!.status()).toBe(404);
  } finally {
    // First, or the page complains that its server is gone.
    await page.close();
    await server.stop();
  }
});
