import { AxeBuilder } from '@axe-core/playwright';
import { application, call, expect, join, type Page, test, visit, type World } from './bursar';
import type { Console } from './console';

// One organization, looked at by one worker: filling it takes longer than looking.
test.describe.configure({ mode: 'default' });

const SIZES = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } };
const FOLDER = 'screenshots';

interface Place {
  name: string;
  path: string;
  as?: Console;
}

/** An organization like one somebody has worked with for a while. */
async function fill(world: World): Promise<Place[]> {
  const { owner, engineering, research, tier } = world;
  const marketing = await owner.create('groups/create', { name: 'Marketing', kind: 'department', parent: '' });
  const support = await owner.create('groups/create', { name: 'Support', kind: 'department', parent: '' });
  await owner.create('groups/create', { name: 'Search Relaunch', kind: 'project', parent: engineering, ends_on: '2030-06-30' });
  await owner.post('models/create-tier', { name: 'high-performance', high_cost: 'true' });
  const page = await owner.page('/models');
  const dear = page.slice(page.indexOf('>high-performance<')).match(/tir_[a-z0-9]{26}/)![0];
  const model = { provider: world.provider, modality: 'chat', context_tokens: '200000', max_output_tokens: '4096' };
  const large = await owner.create('models/create', {
    ...model, name: 'big-chat', upstream: 'huge-1', tier: dear, price_input: '15.00', price_output: '75.00',
  });
  await owner.post('models/accept', { id: large, version: '1' });
  await owner.create('models/create', { ...model, name: 'embedder', upstream: 'embed-1', modality: 'embedding', tier, price_input: '0.02', price_output: '' });
  await owner.post('authorizations/set', { group: '', target: `tier:${tier}`, state: 'open' });
  await owner.post('authorizations/set', { group: engineering, target: `tier:${dear}`, state: 'by_request' });
  await owner.post('authorizations/set', { group: research, target: `model:${large}`, state: 'open', ends_on: '2030-12-31' });
  await owner.post('authorizations/set', { group: marketing, target: `tier:${tier}`, state: 'closed', locked: 'true' });
  await owner.post('policies/save', { name: 'prod-chat', routing: 'fallback', steps: 'big-chat\nsmall-chat' });
  const policy = (await owner.page('/policies')).match(/dialog=policy-(pol_[a-z0-9]{26})/)![1];
  await owner.post('policies/save', {
    id: policy, version: '1', name: 'prod-chat', routing: 'fallback', steps: 'big-chat\nsmall-chat',
    'attempts[0]': 'big-chat 2', 'first_byte[0]': 'big-chat 20', 'after[0]': 'big-chat timeout', 'after[1]': 'big-chat 5xx',
  });
  await owner.post('groups/policy', { id: engineering, version: '1', policy });
  await owner.post('policies/save', { name: 'cheap', routing: 'balance', steps: 'small-chat 3\nbig-chat 1' });

  const people: Record<string, { id: string; console: Console }> = {};
  for (const [name, role, group] of [
    ['Lin Okafor', 'admin', research], ['Sam Ito', 'member', research], ['Noor Aziz', 'auditor', support],
    ['Mika Berg', 'member', marketing], ['Jo Peters', 'member', support],
  ] as const) people[name] = await join(world, name, role, group);
  const { Sam, Jo } = { Sam: people['Sam Ito'], Jo: people['Jo Peters'] };
  await owner.post('groups/add-member', { group: engineering, user: Sam.id, lead: 'true' });
  await owner.post('users/create', { name: 'Dana Fox', email: 'dana@acme.example', role: 'member' });
  await owner.post('users/suspend', { id: Jo.id, suspended: 'true' });

  const apps: Record<string, { id: string; secret: string }> = {};
  for (const name of ['research-bot', 'search-index', 'code-review']) apps[name] = await application(world, name, research);
  apps['help-desk'] = await application(world, 'help-desk', support);
  const own = (await Sam.console.post('keys/open-personal', { group: research })).once.Secret.secret;
  const cap = { window: 'month', mode: 'enforce', thresholds: '50, 80, 100' };
  for (const [scope, metric, amount] of [
    ['organization', 'spend', '500'], [`group:${research}`, 'spend', '0.14'], [`application:${apps['search-index'].id}`, 'requests', '100'],
    [`user:${Sam.id}`, 'output_tokens', '1000000'],
  ]) await owner.post('limits/set', { ...cap, scope, metric, cap: amount });
  await owner.post('limits/set', { ...cap, scope: `group:${support}`, metric: 'requests', cap: '60', window: 'minute', mode: 'observe' });
  await owner.post('authorizations/set', { group: support, target: `tier:${tier}`, state: 'closed', mode: 'observe' });
  await owner.post('access-tests/create', { name: 'Support cannot use big-chat', subject: `group:${support}`, target: `model:${large}`, expected: 'not_open' });
  await owner.post('access-tests/create', { name: 'Marketing has small-chat', subject: `group:${marketing}`, target: `model:${world.model}`, expected: 'open' });
  const calls: [string, string, number][] = [
    [apps['research-bot'].secret, 'big-chat', 2], [apps['search-index'].secret, 'small-chat', 5], [apps['code-review'].secret, 'small-chat', 3],
    [apps['help-desk'].secret, 'small-chat', 2], [own, 'small-chat', 2],
  ];
  for (const [secret, name, times] of calls) for (let n = 0; n < times; n++) await call(world, secret, name);

  const vendor = await owner.create('providers/create', {
    name: 'Relay (OpenAI)', dialect: 'openai', base_url: world.providerUrl, credential: 'sk-upstream', allow_private_address: 'true',
  });
  await owner.post('offers/take', { provider: vendor, 'names[0]': 'gpt-4o', 'names[1]': 'house-finetune' });
  const listed = { litellm_provider: 'openai', mode: 'chat', input_cost_per_token: 2e-6, output_cost_per_token: 8e-6 };
  const list = await owner.create('price-lists/read', { text: JSON.stringify({ 'gpt-4o': listed, 'gpt-4.1': listed, o3: listed }) });
  await owner.post('webhooks/create', { url: 'https://2130706433/hook', 'kinds[0]': 'limit' });
  const hook = (await owner.page('/alerts/settings')).match(/\/webhooks\/whk_[a-z0-9]{26}/)![0];
  await owner.post('webhooks/test', { id: hook.split('/').pop()! });
  await owner.post('requests/edit-rule', { version: '0', above: '100', approvers: '2' });
  const asked = { model: large, whom: `group:${engineering}`, reason: 'A quarter of design reviews.', amount: '900', per: 'month', ends_on: new Date(Date.now() + 30 * 86_400_000).toISOString().slice(0, 10) };
  const several = await Sam.console.create('requests/create', asked);
  await people['Lin Okafor'].console.post('requests/approve', { id: several, amount: '700', ends_on: asked.ends_on, answer: 'Let us see.' });

  const app = apps['research-bot'].id;
  void keepCalling(world, own);
  const finished = (await call(world, apps['search-index'].secret, 'small-chat')).headers.get('x-request-id');
  const refused = (await call(world, apps['search-index'].secret, 'nothing')).headers.get('x-request-id');
  const edits = [`${marketing}~tier:${dear}~open~~~~`, `${support}~tier:${tier}~closed~locked~~~`, `${engineering}~model:${large}~inherit~~~~`, `${research}~tier:${tier}~closed~~~~`];
  const draft = (await owner.post('authorizations/stage', { edits: edits.join(' ') })).go.match(/bat_[a-z0-9]{26}/)[0];

  const labelled = { authorization: `Bearer ${apps['code-review'].secret}`, 'content-type': 'application/json', 'x-bursar-session': 'review-42' };
  for (let n = 0; n < 3; n++) {
    await fetch(`${world.base}/v1/chat/completions`, { method: 'POST', headers: labelled, body: JSON.stringify({ model: 'small-chat', messages: [{ role: 'user', content: 'Hello' }] }) });
  }
  const billed = new Date().toISOString().slice(0, 10);
  const bill = `date,model,cost,input_tokens,output_tokens\n${billed},tiny-1,0.0021,9000,4500\n${billed},tiny-2,1.20,100,50\n`;
  const invoice = await owner.create('invoices/create', { provider: world.provider, name: 'House, this month', text: bill });
  const month = new Date().toISOString().slice(0, 7);
  const shown = (await owner.page('/users')).match(/name="shown" value="(\d+)"/)![1];
  const many = (await owner.post('batches/prepare', { action: 'limit', all: 'true', shown })).go.match(/bat_[a-z0-9]{26}/)[0];
  const batch = (action: string) => `/users/batch/${many}?action=${action}${action === 'limit' ? '&cap=40' : ''}`;

  const gil = await join(world, 'Gil Stone', 'member', research);
  await handOver(owner, apps['code-review'].id, gil.id);
  const gone = await join(world, 'Ava Lund', 'member', research);
  await handOver(owner, apps['help-desk'].id, gone.id);
  const version = /name="version" value="(\d+)"/.exec(await owner.page(`/users/${gone.id}?dialog=remove`))![1];
  const receipt = (await owner.post('users/remove', { id: gone.id, version, heir: gil.id, typed: 'Ava Lund' })).go;
  const day = new Date(Date.now() + 9 * 86_400_000).toISOString().slice(0, 10);
  const review = await owner.create('reviews/open', { group: engineering, below: 'true', due_on: day });
  // Calls are booked a moment after they are answered.
  await expect(async () => expect((await owner.page('/calls')).match(/\/calls\/req_/g)!.length).toBeGreaterThan(14)).toPass();
  await expect(async () => expect(await owner.page('/calls/live')).toContain('?dialog=end-req_')).toPass();
  const rule = await owner.create('rehearsals/authorization', { group: research, target: `tier:${tier}`, state: 'closed' });
  const moved = await owner.create('rehearsals/move', { id: research, parent: marketing });
  return [
    { name: 'reports', path: '/reports' }, { name: 'report', path: `/reports/${month}` }, { name: 'invoices', path: '/invoices' }, { name: 'invoices-new', path: '/invoices?dialog=new' },
    { name: 'invoice', path: `/invoices/${invoice}` }, { name: 'sessions', path: '/sessions' }, { name: 'session', path: `/sessions/one?application=${apps['code-review'].id}&label=review-42` },
    { name: 'recommendations', path: '/recommendations' }, { name: 'group-analytics', path: `/groups/${research}/analytics` },
    { name: 'application-prompts', path: `/applications/${app}?dialog=prompts` }, { name: 'webhook-edit', path: `${hook}?dialog=edit` },
    { name: 'user-remove', path: `/users/${gil.id}?dialog=remove` }, { name: 'user-gone', path: `/users/${gone.id}` }, { name: 'receipt', path: receipt },
    { name: 'group-move', path: `/groups/${research}?dialog=shift&who=${gil.id}` }, { name: 'reviews', path: '/reviews' }, { name: 'review', path: `/reviews/${review}` },
    { name: 'reviews-new', path: '/reviews?dialog=new' }, { name: 'roles', path: '/roles' }, { name: 'settings-delete', path: '/settings?dialog=delete' },
    { name: 'authorization-observed', path: '/authorization/observed' }, { name: 'authorization-tests', path: '/authorization/tests' },
    { name: 'authorization-tests-new', path: '/authorization/tests?dialog=new' }, { name: 'rehearsal', path: `/rehearsals/${rule}` },
    { name: 'rehearsal-move', path: `/rehearsals/${moved}` },
    { name: 'overview', path: '/' }, { name: 'users', path: '/users' }, { name: 'users-invite', path: '/users?dialog=invite' },
    { name: 'users-none', path: '/users?q=nobody' }, { name: 'users-amounts', path: '/users?month_over=0&limit_under=1000&sort=groups' },
    { name: 'users-import', path: '/users/import' }, { name: 'users-suspend', path: `/users/${gil.id}?dialog=suspend` }, { name: 'batch-limit', path: batch('limit') }, { name: 'batch-suspend', path: batch('suspend') },
     { name: 'user', path: `/users/${Sam.id}` }, { name: 'groups', path: '/groups' },
    { name: 'groups-new', path: '/groups?dialog=new' }, { name: 'group', path: `/groups/${research}` }, { name: 'group-empty', path: `/groups/${support}` },
    { name: 'group-archive', path: `/groups/${research}?dialog=archive` }, { name: 'authorization', path: `/authorization?open=${tier},${dear}` },
    { name: 'authorization-staged', path: `/authorization?open=${tier}&draft=${draft}` }, { name: 'authorization-preview', path: `/authorization/draft/${draft}` },
    { name: 'authorization-rule', path: `/authorization/rule?of=${research}~model:${large}` }, { name: 'authorization-several', path: '/authorization?dialog=several' },
    { name: 'authorization-preview-rehearsed', path: `/authorization/draft/${draft}?rehearse=30` }, { name: 'models', path: '/models' },
    { name: 'models-new', path: '/models?dialog=new' }, { name: 'models-review', path: '/models/review' }, { name: 'models-import', path: '/models/import' },
    { name: 'price-list', path: `/models/import/${list}` }, { name: 'provider-offers', path: `/providers/${vendor}/offers` }, { name: 'model', path: `/models/${large}` }, { name: 'model-prices', path: `/models/${large}?dialog=prices` },
    { name: 'providers', path: '/providers' }, { name: 'provider', path: `/providers/${world.provider}` }, { name: 'policies', path: '/policies' },
    { name: 'policies-new', path: '/policies?dialog=new' }, { name: 'policies-edit', path: `/policies?dialog=policy-${policy}` },
    { name: 'explore-features', path: '/explore?by=feature' }, { name: 'authorization-rule-observed', path: `/authorization/rule?of=${support}~tier:${tier}` }, { name: 'applications', path: '/applications' }, { name: 'application', path: `/applications/${app}` },
    { name: 'application-key', path: `/applications/${app}?dialog=key` }, { name: 'calls', path: '/calls' }, { name: 'calls-live', path: '/calls/live' }, { name: 'calls-live-none', path: '/calls/live', as: people['Mika Berg'].console }, { name: 'call', path: `/calls/${finished}` },
    { name: 'call-refused', path: `/calls/${refused}` }, { name: 'explore', path: '/explore' }, { name: 'spend', path: '/spend' },
    { name: 'spend-group', path: `/spend/${research}` }, { name: 'spend-members', path: `/spend/${research}?view=members` }, { name: 'limits', path: '/limits' },
    { name: 'limits-new', path: '/limits?dialog=new' }, { name: 'requests', path: '/requests' }, { name: 'requests-new', path: '/requests/new' },
    { name: 'request-mine', path: '/requests', as: Sam.console }, { name: 'why', path: `/why?who=${research}&model=small-chat` }, { name: 'why-not', path: `/why?who=${app}&model=big-chat` },
    { name: 'notices', path: '/notices', as: Sam.console }, { name: 'notices-none', path: '/notices?show=all', as: people['Mika Berg'].console },
    { name: 'alerts', path: '/alerts' }, { name: 'alert-settings', path: '/alerts/settings' }, { name: 'webhooks-new', path: '/alerts/settings?dialog=webhook' },
    { name: 'webhook', path: hook }, { name: 'request-several', path: `/requests/${several}` },
    { name: 'audit', path: '/audit' }, { name: 'settings', path: '/settings' },
    { name: 'account', path: '/account' }, { name: 'my-models', path: '/my-models', as: Sam.console }, { name: 'lead-groups', path: '/groups', as: Sam.console },
    { name: 'member-nothing', path: '/my-models', as: people['Mika Berg'].console }, { name: 'not-found', path: '/nowhere' },
    { name: 'not-found-group', path: '/groups/grp_00000000000000000000000000' }, { name: 'forbidden', path: '/audit', as: Sam.console },
    { name: 'sign-in', path: '/sign-in', as: undefined }, { name: 'welcome-organization', path: '/welcome/organization' },
    { name: 'welcome-provider', path: '/welcome/provider' }, { name: 'welcome-model', path: '/welcome/model' }, { name: 'welcome-group', path: '/welcome/group' },
    { name: 'welcome-application', path: '/welcome/application' },
  ];
}

/** A call in flight for as long as the server runs: it is made anew when it, or the gateway, has waited long enough. */
async function keepCalling(world: World, secret: string): Promise<void> {
  const body = JSON.stringify({ model: 'small-chat', max_tokens: 1000, messages: [{ role: 'user', content: 'Take your time.' }] });
  const headers = { authorization: `Bearer ${secret}`, 'content-type': 'application/json' };
  const call = () => fetch(`${world.base}/v1/chat/completions`, { method: 'POST', headers, body });
  const again = () => call().then(({ status }) => status === 504, (error) => error.cause?.code === 'UND_ERR_HEADERS_TIMEOUT');
  while (await again());
}

/** Somebody else answers for an application from now on. */
async function handOver(owner: Console, id: string, user: string): Promise<void> {
  const was = (await owner.page(`/applications/${id}?dialog=hand-over`)).match(/name="was" value="([^"]*)"/)![1];
  await owner.post('applications/hand-over', { id, was, user });
}

/** What sticks out of the page to the right. */
async function overflow(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const wide = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= wide) return [];
    return [...document.querySelectorAll('body *')]
      .filter((it) => it.getBoundingClientRect().right > wide + 1)
      .map((it) => `${it.tagName.toLowerCase()}.${it.getAttribute('class') ?? ''} ${Math.round(it.getBoundingClientRect().right)} px`)
      .slice(0, 8);
  });
}

/** What of a dialog is not as it should be, in both themes. */
async function lookAtDialog(page: Page, name: string): Promise<void> {
  await expect.soft(page.locator('dialog[open]'), `${name} is open`).toBeVisible();
  for (const [size, viewport] of Object.entries(SIZES)) {
    await page.setViewportSize(viewport);
    expect.soft(await overflow(page), `${name} ${size}: nothing sticks out`).toEqual([]);
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await page.screenshot({ path: `${FOLDER}/dialog-${name}-${size}-${colorScheme}.png` });
      const axe = new AxeBuilder({ page }).setLegacyMode(true).include('dialog[open]');
      const { violations } = await (colorScheme === 'dark' ? axe.withRules(['color-contrast']) : axe).analyze();
      const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target).slice(0, 4).join(' | ')}`);
      expect.soft(found, `${name} ${size} ${colorScheme}: axe`).toEqual([]);
    }
  }
}

/** A dialog by its page and its name, whatever it is about: `users-new`, `groups-id-move`. */
function dialogName(href: string): string {
  const url = new URL(href, 'http://console');
  const words = `${url.pathname.slice(1)}-${url.searchParams.get('dialog')}`;
  return words.replaceAll(/[a-z]{3}_[a-z0-9]{26}/g, 'id').replaceAll(/[^a-z0-9]+/gi, '-').replaceAll(/-\d{4}-\d{2}/g, '');
}

async function look(page: Page, name: string): Promise<void> {
  for (const [size, viewport] of Object.entries(SIZES)) {
    await page.setViewportSize(viewport);
    expect.soft(await overflow(page), `${name} ${size}: nothing sticks out`).toEqual([]);
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await page.screenshot({ path: `${FOLDER}/${name}-${size}-${colorScheme}.png`, fullPage: true });
      // What one clicks has 24 by 24 pixels of its own (WCAG 2.2, 2.5.8): axe looks only when told.
      const axe = new AxeBuilder({ page }).setLegacyMode(true).options({ rules: { 'target-size': { enabled: true } } });
      // In the dark nothing but the colours is different.
      const { violations } = await (colorScheme === 'dark' ? axe.withRules(['color-contrast']) : axe).analyze();
      const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target).slice(0, 4).join(' | ')}`);
      expect.soft(found, `${name} ${size} ${colorScheme}: axe`).toEqual([]);
    }
  }
}

test('every page is whole, in light and dark, on a desk and on a phone', async ({ page, world }) => {
  test.setTimeout(1_200_000);
  const pages = await fill(world);
  const tried = new Set(pages.map(({ path }) => path).filter((path) => path.includes('dialog=')).map(dialogName));
  let dialogs = 0;
  for (const { name, path, as } of pages) {
    await test.step(name, async () => {
      if (name === 'sign-in') {
        await page.context().clearCookies();
        await page.goto(world.base + path);
      } else {
        await visit(page, as ?? world.owner, path);
      }
      await look(page, name);
    });
    // Every dialog that a page leads to, by its page and its name, while what it is about is still there.
    const links = await page.locator('a[href*="dialog="]').evaluateAll((links) => links.map((link) => link.getAttribute('href')!));
    for (const link of links) {
      const dialog = dialogName(link);
      if (tried.has(dialog)) continue;
      tried.add(dialog);
      dialogs += 1;
      await test.step(`dialog ${dialog}`, async () => {
        await visit(page, as ?? world.owner, link);
        await lookAtDialog(page, dialog);
      });
    }
  }
  expect(dialogs, 'dialogs are found by the links that open them').toBeGreaterThan(25);
});
