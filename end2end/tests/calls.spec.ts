import { application, call, card, expect, fresh, join, test, visit } from './bursar';

test('a call’s page has the arithmetic of its cost, and a refused one says why', async ({ page, world }) => {
  const group = await world.owner.create('groups/create', { name: fresh('Ledger'), kind: 'department', parent: world.engineering });
  const bot = fresh('counter');
  const app = await application(world, bot, group);
  const answered = (await call(world, app.secret)).headers.get('x-request-id')!;
  const refused = (await call(world, app.secret, 'no-such-model')).headers.get('x-request-id')!;
  await expect(async () => {
    for (const id of [answered, refused]) expect(await world.owner.page(`/calls/${id}`)).toContain('Request id');
  }).toPass({ timeout: 15_000 });

  await visit(page, world.owner, `/calls?application=${app.id}`);
  await expect(page.getByRole('row').filter({ hasText: bot })).toHaveCount(2);
  await page.getByRole('row').filter({ hasText: 'small-chat' }).getByRole('link').first().click();
  await expect(page).toHaveURL(new RegExp(answered));
  const arithmetic = card(page, 'Cost, line by line');
  await expect(arithmetic.getByRole('row', { name: 'Input' })).toContainText('1,000');
  await expect(arithmetic.getByRole('row', { name: 'Input' })).toContainText('$0.0001');
  await expect(arithmetic.getByRole('row', { name: 'Output' })).toContainText('$0.0002');
  await expect(arithmetic.getByRole('row', { name: 'Together' })).toContainText('$0.0003');
  await expect(page.locator('main')).toContainText('$0.0003 exactly');
  await expect(card(page, 'Who, and where it counts')).toContainText(bot);
  // What was written down is told from what the rules say now.
  await expect(card(page, 'What decided then')).toContainText('It was let through by the rule on');
  await expect(card(page, 'What such a call meets now, step by step')).toBeVisible();
  await world.owner.create('groups/create', { name: fresh('Since'), kind: 'department', parent: '' });
  await page.goto(`${world.base}/calls/${answered}`);
  await expect(card(page, 'What such a call meets now, step by step')).toContainText('This is no record of what decided then.');

  await page.goto(`${world.base}/calls?application=${app.id}`);
  await page.getByLabel('Ended').selectOption('refused');
  await page.getByRole('button', { name: 'Show' }).click();
  await expect(page).toHaveURL(/outcome=refused/);
  await expect(page.getByRole('row').filter({ hasText: bot })).toHaveCount(1);
  await page.getByRole('row').filter({ hasText: 'model_not_found' }).getByRole('link').first().click();
  await expect(page).toHaveURL(new RegExp(refused));
  await expect(page.locator('main')).toContainText('There is no model');

  await page.goto(`${world.base}/calls?application=${app.id}&to=2020-01-01`);
  await expect(page.getByText('No call matches')).toBeVisible();

  await page.goto(`${world.base}/calls?application=${app.id}&outcome=foo`);
  await expect(page.locator('main')).toContainText('There is nothing called “foo” to choose: these are calls however they ended.');
  await page.getByRole('link', { name: 'Clear the filters' }).click();
  await expect(page).toHaveURL(/\/calls$/);
});

test('what is filtered by less often is chosen, shown, and taken away again', async ({ page, world }) => {
  const bot = fresh('sorter');
  const group = await world.owner.create('groups/create', { name: fresh('Sorting'), kind: 'department', parent: world.engineering });
  const app = await application(world, bot, group);
  const id = (await call(world, app.secret)).headers.get('x-request-id')!;
  await expect(async () => expect(await world.owner.page(`/calls/${id}`)).toContain('Request id')).toPass({ timeout: 15_000 });
  for (const path of ['/calls', '/explore']) {
    await visit(page, world.owner, `${path}?group=${group}`);
    await page.getByText('More filters').click();
    await page.getByRole('searchbox', { name: 'Use case' }).fill('no such label');
    await page.getByRole('button', { name: 'Show' }).click();
    await expect(page).toHaveURL(/use_case=no/);
    const chip = page.getByRole('link', { name: /Use case: no such label/ });
    await expect(chip).toBeVisible();
    await expect(page.getByRole('searchbox', { name: 'Use case' })).toBeVisible();
    await chip.click();
    await expect(page).not.toHaveURL(/use_case=no/);
    await expect(page.locator('main')).toContainText(bot);
  }
});

test('a call in flight is seen with what it holds, and ended by hand', async ({ page, world }) => {
  const bot = fresh('patient');
  const { id, secret } = await application(world, bot, world.research);
  const waiting = fetch(`${world.base}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'small-chat', max_tokens: 1000, messages: [{ role: 'user', content: 'Take your time.' }] }),
  });
  await visit(page, world.owner, `/calls?application=${id}`);
  await page.getByRole('link', { name: 'In flight' }).click();
  await expect(page).toHaveURL(/calls\/live/);
  const row = page.getByRole('row').filter({ hasText: bot });
  await expect(async () => {
    await page.reload();
    await expect(row).toHaveCount(1, { timeout: 500 });
  }).toPass();
  await expect(row).toContainText('$0.0');
  await row.getByRole('link', { name: 'End' }).click();
  await expect(page.getByRole('dialog')).toContainText('booked at the most it can cost');
  await page.getByRole('dialog').getByRole('button', { name: 'End the call' }).click();
  const answer = await waiting;
  expect(answer.status).toBe(403);
  expect((await answer.json()).error.code).toBe('call_ended');
  await expect(async () => {
    await page.goto(`${world.base}/calls?application=${id}&outcome=ended`);
    await expect(page.getByRole('row').filter({ hasText: bot })).toContainText('Ended by Bursar', { timeout: 500 });
  }).toPass();
});

test('a stream that is ended by hand ends for its client as its dialect ends one', async ({ page, world }) => {
  const bot = fresh('talkative');
  const { id, secret } = await application(world, bot, world.research);
  const answer = await fetch(`${world.base}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'small-chat', max_tokens: 1000, stream: true, messages: [{ role: 'user', content: 'Take your time.' }] }),
  });
  expect(answer.status).toBe(200);
  const rest = answer.text();
  await visit(page, world.owner, '/calls/live');
  const row = page.getByRole('row').filter({ hasText: bot });
  await expect(async () => {
    await page.reload();
    await expect(row).toContainText('Streaming', { timeout: 500 });
  }).toPass();
  await expect(row).toContainText('$0.0');
  await row.getByRole('link', { name: 'End' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'End the call' }).click();
  const events = (await rest).trim().split('\n\n').map((event) => event.replace('data: ', ''));
  expect(events.at(-1)).toBe('[DONE]');
  const [first, last] = [events[0], events.at(-2)!].map((event) => JSON.parse(event));
  expect(first.choices[0].delta.content).toBe('Well');
  expect(last.choices[0].finish_reason).toBe('length');
  expect(last.bursar.reason).toBe('ended_by_hand');
  await expect(async () => {
    await page.goto(`${world.base}/calls?application=${id}&outcome=ended`);
    await expect(page.getByRole('row').filter({ hasText: bot })).toContainText('Ended by Bursar', { timeout: 500 });
  }).toPass();
});

test('somebody sees their own calls, and of those of others nothing', async ({ page, world }) => {
  const bot = fresh('private');
  const { id, secret } = await application(world, bot, world.research);
  const one = (await call(world, secret)).headers.get('x-request-id')!;
  await expect(async () => expect(await world.owner.page(`/calls/${one}`)).toContain('Request id')).toPass({ timeout: 15_000 });
  const member = await join(world, fresh('Mo'), 'member', world.research);
  await visit(page, member.console, '/calls');
  await expect(page.getByText('No calls yet')).toBeVisible();
  await expect(page.locator('main')).not.toContainText(bot);
  await page.goto(`${world.base}/calls?application=${id}`);
  await expect(page.getByText('No call matches')).toBeVisible();
  await expect(page.locator('main')).not.toContainText(bot);
  for (const path of [`/calls/${one}`, `/spend/${id}`]) {
    await page.goto(world.base + path);
    await expect(page.getByRole('heading', { name: 'Not for your role' })).toBeVisible();
  }
  await page.goto(`${world.base}/spend/me`);
  await expect(page.getByRole('heading', { level: 1 })).toContainText('Spend of Mo');
});
