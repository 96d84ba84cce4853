import { application, call, card, expect, fresh, type Page, said, test, visit, type World } from './bursar';

/** A group with a program that has called so many times. */
async function called(world: World, times: number): Promise<{ name: string; group: string; id: string; secret: string }> {
  const name = fresh('Team');
  const group = await world.owner.create('groups/create', { name, kind: 'function', parent: world.engineering });
  const { id, secret } = await application(world, fresh('program'), group);
  for (let time = 0; time < times; time++) expect((await call(world, secret)).status).toBe(200);
  // Calls are booked a moment after they are answered.
  await expect(async () => expect((await world.owner.page(`/calls?application=${id}`)).match(/\/calls\/req_/g) ?? []).toHaveLength(times)).toPass();
  return { name, group, id, secret };
}

const rule = (group: string, world: World) => `/authorization/rule?of=${group}~tier:${world.tier}`;

async function rehearse(page: Page): Promise<void> {
  await page.getByRole('button', { name: /^Rehearse on 30 days$|^See what changes$/ }).filter({ visible: true }).click();
  await expect(page.getByRole('heading', { name: /^Rehearsal/, level: 1 })).toBeVisible();
}

test('a rule is rehearsed, gone back to, rehearsed again, and saved: what was shown is what happens', async ({ page, world }) => {
  const { name, group, secret } = await called(world, 2);
  await visit(page, world.owner, rule(group, world));
  await page.getByLabel('Here', { exact: true }).selectOption('closed');
  await page.getByLabel('Locked').check();
  await rehearse(page);
  await expect(page.getByRole('status').first()).toContainText('Would have refused 2 calls in 1 application');
  await expect(page.getByText(`${name} says that tier general is closed, locked`)).toBeVisible();
  await expect(card(page, 'Who gains and loses models').getByRole('row').filter({ hasText: name })).toContainText('small-chat');
  await expect(card(page, 'Why')).toContainText('closed');
  await expect(card(page, 'The first calls').getByRole('row')).toHaveCount(3);
  expect((await call(world, secret)).status, 'nothing is changed by a rehearsal').toBe(200);

  await page.getByRole('link', { name: 'Back', exact: true }).click();
  await expect(page.getByLabel('Here', { exact: true }), 'what was chosen is still there').toHaveValue('closed');
  await expect(page.getByLabel('Locked')).toBeChecked();
  await page.getByLabel('Locked').uncheck();
  await rehearse(page);
  await page.getByRole('link', { name: '7 days' }).click();
  await expect(page.getByRole('heading', { name: /the last 7 days/, level: 1 })).toBeVisible();
  await page.getByRole('button', { name: 'Save anyway' }).click();
  await said(page, 'It holds from the next call on');
  await expect(page).toHaveURL(/\/authorization\/rule\?of=/);
  expect((await call(world, secret)).status).toBe(404);
});

test('a draft of several cells is rehearsed as a whole before it is saved', async ({ page, world }) => {
  const [one, two] = [await called(world, 2), await called(world, 1)];
  const edits = [one, two].map(({ group }) => `${group}~tier:${world.tier}~closed~~~~`).join(' ');
  const done = await world.owner.post('authorizations/stage', { edits });
  await visit(page, world.owner, done.go);
  await page.getByRole('link', { name: '7 days' }).click();
  await expect(page.getByRole('status').filter({ hasText: 'Would have refused 3 calls in 2 applications' })).toBeVisible();
  await expect(page.getByRole('link', { name: '7 days' })).toHaveAttribute('aria-current', 'true');
  await expect(card(page, 'Who gains and loses models').getByRole('row').filter({ hasText: one.name })).toContainText('small-chat');
  expect((await call(world, one.secret)).status, 'nothing is changed by a rehearsal').toBe(200);
  await page.getByRole('button', { name: 'Save 2 changes' }).click();
  await said(page, '2 changes saved.');
  for (const { secret } of [one, two]) expect((await call(world, secret)).status).toBe(404);
});

test('a cap that is lowered says from which call on it would have refused', async ({ page, world }) => {
  const { name, group, secret } = await called(world, 3);
  await visit(page, world.owner, `/groups/${group}?dialog=new-limit`);
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Of').selectOption('requests');
  await dialog.getByLabel('Per', { exact: true }).selectOption('year');
  await dialog.getByLabel('At most').fill('many');
  await dialog.getByRole('button', { name: 'Rehearse on 30 days' }).click();
  await expect(dialog.getByText(/Enter a whole number/)).toBeVisible();
  await dialog.getByLabel('At most').fill('1');
  await rehearse(page);
  await expect(page.getByRole('status').first()).toContainText('Would have refused 2 calls');
  const why = card(page, 'Why').getByRole('row').filter({ hasText: `1 request a year of ${name}` });
  await expect(why.getByRole('link'), 'a link to the first of them').toHaveAttribute('href', /\/calls\/req_/);
  await page.getByRole('link', { name: 'Back', exact: true }).click();
  await expect(dialog.getByLabel('At most')).toHaveValue('1');
  await dialog.getByLabel('At most').fill('5');
  await rehearse(page);
  await expect(page.getByRole('status').first()).toContainText('Nothing would have come out differently');
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await said(page, 'It holds from the next call on');
  await expect(page.getByText('5 requests a year').first()).toBeVisible();
  expect((await call(world, secret)).status).toBe(200);
});

test('before a group moves, it is said who loses what and whose budgets tighten', async ({ page, world }) => {
  const { name, group, secret } = await called(world, 1);
  const elsewhere = fresh('Elsewhere');
  const to = await world.owner.create('groups/create', { name: elsewhere, kind: 'department', parent: '' });
  await world.owner.post('limits/set', { scope: `group:${to}`, metric: 'spend', window: 'month', cap: '5' });
  await visit(page, world.owner, `/groups/${group}?dialog=move`);
  await page.getByRole('dialog').getByLabel('Inside').selectOption(to);
  await rehearse(page);
  await expect(page.getByText(`moves into ${elsewhere}`)).toBeVisible();
  await expect(card(page, 'Who gains and loses models').getByRole('row').filter({ hasText: name })).toContainText('small-chat');
  const budget = card(page, 'Whose budgets change').getByRole('row').filter({ hasText: `limit of ${elsewhere}` });
  await expect(budget).toContainText('does not apply');
  await expect(budget).toContainText('$5.00 a month');
  await expect(budget).toContainText('tighter');
  await page.getByRole('button', { name: 'Save anyway' }).click();
  await said(page, 'Saved');
  expect((await call(world, secret)).status).toBe(404);
});

test('a policy is rehearsed: its calls go to the next model instead of being refused', async ({ page, world }) => {
  const policy = fresh('route').replace(' ', '-');
  await world.owner.post('policies/save', { name: policy, routing: 'fallback', steps: 'small-chat' });
  const { id, secret } = await application(world, fresh('routed'), world.research);
  expect((await call(world, secret, `policy/${policy}`)).status).toBe(200);
  await expect(async () => expect(await world.owner.page(`/calls?application=${id}`)).toContain('/calls/req_')).toPass();
  const model = await world.owner.create('models/create', {
    name: fresh('free').replace(' ', '-'), provider: world.provider, upstream: 'tiny-2', modality: 'chat', tier: world.tier,
    context_tokens: '8192', max_output_tokens: '1024', price_input: '0', price_output: '0',
  });
  await world.owner.post('models/accept', { id: model, version: '1' });
  const name = (await world.owner.page(`/models/${model}`)).match(/<h1>([^<]+)/)![1];
  await visit(page, world.owner, '/policies');
  await page.getByRole('row').filter({ hasText: policy }).getByRole('link', { name: 'Edit' }).click();
  await page.getByRole('dialog').getByLabel('Models').fill(name);
  await rehearse(page);
  await expect(page.getByRole('status').first()).toContainText('1 call answered by another model');
  await page.getByRole('link', { name: 'Back', exact: true }).click();
  await expect(page.getByRole('dialog').getByLabel('Models')).toHaveValue(name);
});

test('a rule observes first, is seen at work, and is promoted', async ({ page, world }) => {
  const { name, group, secret } = await called(world, 1);
  await visit(page, world.owner, rule(group, world));
  await page.getByLabel('Here', { exact: true }).selectOption('closed');
  await page.getByLabel('How', { exact: true }).selectOption('observe');
  await page.getByRole('button', { name: 'Preview' }).click();
  await expect(page.getByText('It only takes note, so it refuses nothing.')).toBeVisible();
  await expect(page.getByRole('status').first()).toContainText('Would have refused 1 call');
  await page.getByRole('button', { name: 'Save as observed' }).click();
  await said(page, 'It refuses nothing');
  await expect(page.getByText('Closed, which only takes note')).toBeVisible();
  await page.goto(`${world.base}/authorization?q=${encodeURIComponent(name)}`);
  await expect(page.getByRole('row').filter({ hasText: name }), 'the cell says so').toContainText('observes: closed');

  const answer = await call(world, secret);
  expect(answer.status, 'what only observes refuses nobody').toBe(200);
  const row = page.getByRole('row').filter({ hasText: `for Engineering/${name}` });
  await expect(async () => {
    await page.goto(`${world.base}/authorization/observed`);
    await expect(row).toContainText('1 call');
  }).toPass();
  await page.goto(`${world.base}/calls/${answer.headers.get('x-request-id')}`);
  await expect(page.getByText(/only observes\. It says closed, and would have refused this call/)).toBeVisible();
  await page.goto(`${world.base}/authorization/observed`);
  await row.getByRole('button', { name: 'Rehearse' }).click();
  await expect(page.getByRole('status').first()).toContainText('Would have refused 2 calls');
  await expect(page.getByText(/says that .* is closed\. Today:/)).toBeVisible();
  await expect(page.getByText(/says nothing about/), 'that it no longer takes note is no change of its own').toHaveCount(0);
  await page.goto(`${world.base}/authorization/observed`);
  await row.getByRole('button', { name: 'Promote to enforced' }).click();
  await said(page, 'It decides from the next call on');
  await expect(row).toHaveCount(0);
  expect((await call(world, secret)).status).toBe(404);
});
