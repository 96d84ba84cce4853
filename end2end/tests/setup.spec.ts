import { expect, PASSWORD, said, test } from './bursar';
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
    await expect(page.getByText('Enter an email address like')).toBeVisible();
    await expect(page.getByLabel('Your name')).toHaveValue('Ada Lovelace');
    await page.getByLabel('Email').fill('ada@acme.example');
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await page.getByLabel('Password again').fill(PASSWORD);
    await page.getByRole('button', { name: 'Create the owner' }).click();

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

    await page.getByLabel('Name', { exact: true }).fill('Engineering');
    await page.getByRole('button', { name: 'Create the group' }).click();

    await page.getByLabel('Name', { exact: true }).fill('research-bot');
    await page.getByRole('button', { name: 'Create the application' }).click();

    await page.getByRole('button', { name: 'Make a secret' }).click();
    const command = page.getByText(/curl http/).first();
    await expect(command).toBeVisible();
    const secret = /bsr_live_[0-9A-Za-z]{36}/.exec((await command.textContent())!)![0];

    await page.getByLabel('Secret', { exact: true }).fill(secret);
    await page.getByRole('button', { name: 'Make the call' }).click();
    await expect(page.getByText('Hello from the model.')).toBeVisible();

    await page.getByRole('link', { name: 'To the overview' }).click();
    await expect(page.getByRole('heading', { name: 'Acme', level: 1 })).toBeVisible();
    expect((await page.goto(`${server.base}/setup?token=${server.token}`))!.status()).toBe(404);

    await page.goto(server.base);
    if (javaScriptEnabled !== false) await expect(page.locator('body')).not.toContainText(secret);
  } finally {
    await server.stop();
    provider.close();
  }
});
