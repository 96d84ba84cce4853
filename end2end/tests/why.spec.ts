import { application, call, card, expect, fresh, join, said, test, visit, type World } from './bursar';

/** A model of the catalogue that nothing opens, in a tier of its own. */
async function silent(world: World): Promise<{ id: string; name: string }> {
  const [name, tier] = [fresh('quiet').replace(' ', '-'), fresh('tier')];
  await world.owner.post('models/create-tier', { name: tier });
  const page = await world.owner.page('/models');
  const id = await world.owner.create('models/create', {
    name, provider: world.provider, upstream: 'tiny-1', modality: 'chat', tier: page.slice(page.indexOf(`>${tier}<`)).match(/tir_[a-z0-9]{26}/)![0],
    context_tokens: '', max_output_tokens: '1000', price_input: '1', price_output: '1',
  });
  return { id, name };
}

test('a model becomes usable by following, step by step, what the page says would help', async ({ page, world }) => {
  const { id, name } = await silent(world);
  const { secret, id: app } = await application(world, fresh('bot'), world.research);
  const why = `/why?who=${app}&model=${name}`;
  const help = card(page, 'What would make it a yes');
  await visit(page, world.owner, why);
  await expect(page.getByText('nobody has reviewed the model yet').first()).toBeVisible();
  await expect(help.getByRole('listitem')).toHaveText([`An admin or owner reviews ${name}.`, `An admin or owner opens ${name} for Engineering/Research.`]);
  await help.getByRole('link').first().click();
  await expect(page).toHaveURL(new RegExp(`/models/${id}`));
  await world.owner.post('models/accept', { id, version: '1' });

  // The second change is a cell of the matrix: its page says so.
  await page.goto(world.base + why);
  await help.getByRole('link').first().click();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(`${name} for Research`);
  await expect(page.getByLabel('Here', { exact: true }), 'what was proposed is filled in').toHaveValue('open');
  await page.getByRole('button', { name: 'Preview' }).click();
  await page.getByRole('button', { name: 'Save 1 change' }).click();
  await said(page, /Saved|saved/);

  await page.goto(world.base + why);
  await expect(page.getByText(`may use ${name}: Engineering/Research says so`)).toBeVisible();
  await expect(help).toHaveCount(0);
  const decides = page.locator('.trace .decides');
  await expect(decides).toHaveCount(1);
  await expect(decides).toContainText('Set by Ada Lovelace');
  // From what decides to the rule itself.
  await decides.getByRole('link').click();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(`${name} for Research`);
  await expect(page.getByLabel('Here', { exact: true })).toHaveValue('open');
  expect((await call(world, secret, name)).status).toBe(200);
});

test('the refused person and the lead see why a call was refused, others do not', async ({ page, world }) => {
  const { id, name } = await silent(world);
  await world.owner.post('models/accept', { id, version: '1' });
  await world.owner.post('authorizations/set', { group: world.engineering, target: `model:${id}`, state: 'by_request', locked: 'true' });
  const [sam, eve, lena] = [await join(world, fresh('Sam'), 'member', world.research), await join(world, fresh('Eve'), 'member', world.research), await join(world, fresh('Lena'), 'member')];
  await world.owner.post('groups/add-member', { group: world.research, user: lena.id, lead: 'true' });
  const secret = (await sam.console.post('keys/open-personal', { group: world.research })).once.Secret.secret;
  const stopped = await call(world, secret, name);
  const request = stopped.headers.get('x-request-id');
  expect(stopped.status).toBe(403);
  const path = `/why?request=${request}`;
  // It is written down in a moment.
  await expect.poll(async () => (await sam.console.page(path)).includes('403 model_requires_approval')).toBe(true);

  for (const somebody of [sam, lena]) {
    await visit(page, somebody.console, path);
    await expect(card(page, 'The refused call')).toContainText('403 model_requires_approval');
    await expect(page.getByText(`may use ${name} once somebody has agreed`)).toBeVisible();
    await expect(page.locator('.trace')).toContainText(`Engineering says that ${name} is by request, and locks it.`);
  }
  await visit(page, sam.console, path);
  await card(page, 'What would make it a yes').getByRole('link').click();
  await expect(page.getByLabel('Model')).toHaveValue(name);

  // A call to a policy, too: each of its models is decided for itself.
  const route = fresh('way').replace(' ', '-');
  await world.owner.post('policies/save', { name: route, routing: 'fallback', steps: name });
  const routed = await call(world, secret, `policy/${route}`);
  expect(routed.status).toBe(403);
  const way = `/why?request=${routed.headers.get('x-request-id')}`;
  await expect.poll(async () => (await sam.console.page(way)).includes(`may use ${name} once somebody has agreed`)).toBe(true);

  // What was refused before anything was decided is kept nowhere: its id says why.
  const unknown = await call(world, 'bsr_live_nobody', name);
  expect(unknown.status).toBe(401);
  await visit(page, world.owner, '/why');
  await page.getByLabel('Or a refused call').fill('sentence of nobody');
  await page.getByRole('button', { name: 'Look it up' }).click();
  await expect(page.getByRole('status').filter({ hasText: 'That is no request id.' })).toBeVisible();
  await expect(page.getByLabel('Or a refused call'), 'what was typed is still there').toHaveValue('sentence of nobody');
  await page.getByLabel('Or a refused call').fill(unknown.headers.get('x-request-id')!);
  await page.getByRole('button', { name: 'Look it up' }).click();
  await expect(page.getByText('cannot be one of Bursar’s').or(page.getByText("cannot be one of Bursar's"))).toBeVisible();
  await expect(card(page, 'What would make it a yes')).toContainText('Make a secret of your own');

  // Somebody else learns what the answer said, and nothing about whose it was.
  await visit(page, eve.console, path);
  await expect(page.getByText('The model is open by request only, and nobody had agreed.')).toBeVisible();
  await expect(page.getByText(name)).toHaveCount(0);
  await expect(page.getByText(sam.id)).toHaveCount(0);
});

test('a member asks about themself only, and learns nothing of models nobody has let in', async ({ page, world }) => {
  const { name } = await silent(world);
  const [sam, eve] = [await join(world, fresh('Sam'), 'member', world.research), await join(world, fresh('Eve'), 'member', world.research)];
  await visit(page, sam.console, '/why?model=small-chat');
  await expect(page.getByText('may use small-chat: Engineering says so')).toBeVisible();
  await expect(page.getByText('tightest')).toBeVisible();
  await expect(page.getByLabel('Person or application')).toHaveCount(0);
  // A call of that size would not fit into fifty dollars a month.
  await page.goto(`${world.base}/why?model=small-chat&tokens=900,000,000`);
  await expect(page.getByText('A limit has no room for such a call')).toBeVisible();
  for (const unknown of [name, 'no-such-model']) {
    await page.goto(`${world.base}/why?model=${unknown}`);
    await expect(page.getByText(`There is no model ${unknown} here.`)).toBeVisible();
  }
  await page.goto(`${world.base}/why?who=${eve.id}&model=small-chat`);
  await expect(page.getByText('There is no person or application')).toBeVisible();
  // A group is asked about by those who read it.
  const group = `/why?who=${world.research}&model=small-chat`;
  await page.goto(world.base + group);
  await expect(page.getByText('There is no person or application')).toBeVisible();
  await visit(page, world.owner, `/groups/${world.research}`);
  await page.getByRole('row').filter({ hasText: 'small-chat' }).getByRole('link', { name: 'from Engineering' }).click();
  await expect(page.getByText('Anybody in Engineering/Research may use small-chat')).toBeVisible();
  // A link came with an id; the field says what a person would type, and that is understood.
  await expect(page.getByLabel('Person or application')).toHaveValue('Anybody in Engineering/Research');
  await page.getByRole('button', { name: 'Ask' }).click();
  await expect(page.getByText('Anybody in Engineering/Research may use small-chat')).toBeVisible();
});
