import { application, call, card, expect, fresh, type Page, refused, said, test, visit, type World } from './bursar';

/** A vendor the price book knows by its name, reached by a server of our own. */
async function vendor(world: World): Promise<string> {
  return world.owner.create('providers/create', {
    name: `${fresh('Relay')} (OpenAI)`, dialect: 'openai', base_url: world.providerUrl, credential: 'sk-upstream', allow_private_address: 'true',
  });
}

function row(page: Page, text: string) {
  return page.getByRole('row').filter({ hasText: text });
}

test('the price book fills in what it knows about a model', async ({ page, world }) => {
  const provider = await vendor(world);
  const name = `known-${Math.random().toString(36).slice(2, 8)}`;
  await visit(page, world.owner, '/models');
  await page.getByRole('link', { name: 'New model' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name for callers').fill(name);
  await dialog.getByLabel('Provider', { exact: true }).selectOption(provider);
  await dialog.getByLabel('Name at the provider').fill('gpt-imagined');
  await dialog.getByRole('button', { name: 'Fill from the price book' }).click();
  await refused(dialog.getByLabel('Name at the provider'), 'gpt-imagined', /The price book has no gpt-imagined of OpenAI/);
  await dialog.getByLabel('Name at the provider').fill('gpt-4o');
  await dialog.getByRole('button', { name: 'Fill from the price book' }).click();
  await expect(dialog.getByText(/Filled in from the price book: OpenAI/)).toBeVisible();
  await expect(dialog.getByLabel('Name for callers')).toHaveValue(name);
  await expect(dialog.getByLabel('Input, $ per million')).toHaveValue('2.50');
  await expect(dialog.getByLabel('Output, $ per million')).toHaveValue('10.00');
  await expect(dialog.getByLabel('Cached input')).toHaveValue('1.25');
  await expect(dialog.getByLabel('Context, tokens')).toHaveValue('128000');
  await expect(dialog.getByLabel('Most output, tokens')).toHaveValue('16384');
  await expect(dialog.getByLabel('Modality')).toHaveValue('vision');
  await dialog.getByRole('button', { name: 'Add the model' }).click();
  await expect(page.getByText('This model waits for review')).toBeVisible();
  await expect(row(page, 'in force')).toContainText(/Price book of .* set by Ada Lovelace/);
  await expect(row(page, 'Cache write, long')).toContainText('takes the price of input');

  // Typed over, it is the person's.
  await page.getByRole('link', { name: 'Set prices' }).click();
  await expect(dialog.getByLabel('Input optional', { exact: true })).toHaveValue('2.50');
  await dialog.getByLabel('Input optional', { exact: true }).fill('3');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(row(page, 'in force')).toContainText('Typed in by Ada Lovelace');
  await expect(page.getByText(/The price book says otherwise per million of input \$2\.50, here \$3\.00/)).toBeVisible();
});

test('what a provider offers is taken into the review inbox, accepted, and can be called', async ({ page, world }) => {
  const provider = await vendor(world);
  const { secret } = await application(world, fresh('caller'), world.research);
  await visit(page, world.owner, `/providers/${provider}`);
  await page.getByRole('link', { name: 'Which models does it offer' }).click();
  await expect(row(page, 'house-finetune')).toContainText('not in the price book');
  await expect(row(page, 'gpt-4o-mini')).toContainText('$0.15 / $0.60');
  await page.getByRole('checkbox', { name: 'Choose gpt-4o-mini' }).check();
  await page.getByRole('checkbox', { name: 'Choose house-finetune' }).check();
  await page.getByRole('button', { name: 'Take into the review inbox' }).click();
  await expect(page.getByRole('heading', { name: 'Review inbox' })).toBeVisible();

  const model = row(page, '(OpenAI) · gpt-4o-mini').last();
  const name = await model.locator('a b.mono').textContent();
  await expect(model).toContainText(/nearest to that of \S+, which is in general/);
  await expect(model).toContainText(/Open to (every group|\d+ groups)/);
  const unpriced = row(page, '(OpenAI) · house-finetune').last();
  await expect(unpriced).toContainText('no price: cannot be called');
  await expect(unpriced).toContainText('Nobody');
  expect((await call(world, secret, name!)).status).toBe(404);

  await unpriced.getByRole('checkbox').check();
  await page.locator('.select-bar').getByRole('button', { name: 'Dismiss' }).click();
  await said(page, 'Dismissed');
  await model.getByRole('checkbox').check();
  await page.locator('.select-bar').getByRole('button', { name: 'Accept' }).click();
  await said(page, 'Accepted');
  expect((await call(world, secret, name!)).status).toBe(200);

  await visit(page, world.owner, `/providers/${provider}/offers`);
  await expect(card(page, 'In the catalogue').getByText(name!, { exact: true })).toBeVisible();
  await expect(row(page, 'house-finetune')).toContainText('not in the price book');
});

const LIST = {
  sample_spec: { litellm_provider: 'one of many', mode: 'chat' },
  'gpt-4o': { litellm_provider: 'openai', mode: 'chat', max_input_tokens: 128000, input_cost_per_token: 1.5e-6, output_cost_per_token: 9e-6 },
  'gpt-list-only': { litellm_provider: 'openai', mode: 'chat', input_cost_per_token: 1.5e-7, output_cost_per_token: 6e-7 },
  'openai/broken': { litellm_provider: 'openai', mode: 'chat', input_cost_per_token: 'cheap' },
};

test('a price list is looked at before it is applied, and applying it again changes nothing', async ({ page, world }) => {
  const provider = await vendor(world);
  const name = `listed-${Math.random().toString(36).slice(2, 8)}`;
  const id = await world.owner.create('models/create', {
    name, provider, upstream: 'gpt-4o', modality: 'chat', tier: world.tier, context_tokens: '', max_output_tokens: '', price_input: '2', price_output: '9',
  });
  await visit(page, world.owner, '/models');
  await page.getByRole('link', { name: 'Import a price list' }).click();
  await page.getByLabel('Or its text').fill('{"a": ');
  await page.getByRole('button', { name: 'Show the difference' }).click();
  await refused(page.getByLabel('Or its text'), '{"a": ', /not a JSON object of models/);
  await page.getByLabel('Or its text').fill('');
  await page.getByLabel('The file').setInputFiles({ name: 'prices.json', mimeType: 'application/json', buffer: Buffer.from(JSON.stringify(LIST)) });
  await page.getByRole('button', { name: 'Show the difference' }).click();
  await expect(page.getByRole('heading', { name: 'Price list', level: 1 })).toBeVisible();

  const mine = row(page, name);
  await expect(mine).toContainText('$2.00 / $9.00');
  await expect(mine).toContainText('$1.50 / $9.00');
  // Only this test's: others work in the same organization.
  for (const box of await page.locator('tbody input[type=checkbox]').all()) await box.uncheck();
  await mine.getByRole('checkbox').check();
  await page.getByRole('checkbox', { name: 'Choose gpt-list-only' }).check();
  await page.getByLabel('Those that are ticked here are offered by').selectOption(provider);
  await page.getByRole('button', { name: 'Apply what is ticked' }).click();
  await said(page, /1 model has a new price from now on. 1 model waits for review/);
  // What was applied is said, and not offered again.
  await expect(card(page, 'Applied')).toContainText('By Ada Lovelace');
  await expect(row(page, name)).toContainText('input $2.00, output $9.00 → input $1.50, output $9.00');
  await expect(page.getByRole('checkbox', { name: `Choose ${name}` })).toHaveCount(0);
  await expect(page.getByRole('checkbox', { name: 'Choose gpt-list-only' })).toHaveCount(0);
  await expect(row(page, 'openai/broken')).toContainText('input_cost_per_token is cheap: that is no number.');

  await visit(page, world.owner, `/models/${id}`);
  await expect(row(page, 'in force')).toContainText(/LiteLLM's price list, read .* by Ada Lovelace/);
  await expect(row(page, 'in force')).toContainText('$1.50');
  await visit(page, world.owner, '/models/import');
  await page.getByLabel('Or its text').fill(JSON.stringify(LIST));
  await page.getByRole('button', { name: 'Show the difference' }).click();
  await expect(page.getByRole('heading', { name: 'Price list', level: 1 })).toBeVisible();
  await expect(row(page, name)).toHaveCount(0);
});

test('whose the models of a vendor are that nobody here is known to be is not guessed', async ({ page, world }) => {
  const name = fresh('House');
  const provider = await world.owner.create('providers/create', {
    name, dialect: 'openai', base_url: world.providerUrl, credential: 'sk-upstream', allow_private_address: 'true',
  });
  const upstream = `sonar-${Math.random().toString(36).slice(2, 8)}`;
  await world.owner.create('models/create', {
    name: upstream, provider, upstream, modality: 'chat', tier: world.tier, context_tokens: '', max_output_tokens: '', price_input: '2', price_output: '9',
  });
  const listed = { litellm_provider: 'perplexity', mode: 'chat', input_cost_per_token: 1e-6, output_cost_per_token: 2e-6 };
  const list = await world.owner.create('price-lists/read', { text: JSON.stringify({ [upstream]: listed, [`${upstream}-pro`]: listed }) });
  await visit(page, world.owner, `/models/import/${list}`);
  await expect(page.getByText(new RegExp(`Not compared are models .* ${name} \\(1\\)`))).toBeVisible();
  await expect(row(page, `${upstream}The catalogue`)).toContainText(`The catalogue has a model of this name, of ${name}.`);
  await expect(page.getByText('No provider here is known to be Perplexity.')).toBeVisible();
  await page.getByRole('checkbox', { name: `Choose ${upstream}-pro` }).check();
  await page.getByRole('button', { name: 'Apply what is ticked' }).click();
  const whose = page.getByLabel('Those that are ticked here are offered by');
  await expect(page.getByText('Choose who offers the models that are ticked.')).toBeVisible();
  await whose.selectOption(provider);
  await page.getByRole('checkbox', { name: `Choose ${upstream}-pro` }).check();
  await page.getByRole('button', { name: 'Apply what is ticked' }).click();
  await said(page, /No price changed. 1 model waits for review/);
});
