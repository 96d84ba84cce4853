import { test as base, expect, type Locator, type Page } from '@playwright/test';
import { Console } from './console';
import { type Server, start } from './server';
import { upstream } from './upstream';

export { expect };
export type { Locator, Page };

export const PASSWORD = 'a calm green ledger';

/** An organization on a server of this worker's own: who is in it, and what. */
export interface World {
  base: string;
  owner: Console;
  provider: string;
  providerUrl: string;
  tier: string;
  model: string;
  engineering: string;
  research: string;
}

/** A name nobody else uses, whichever project runs beside this one. */
export function fresh(stem: string): string {
  return `${stem} ${Math.random().toString(36).slice(2, 8)}`;
}

/** What Chromium says about every page whose script it was told not to run. */
const UNUSED = /was preloaded using link preload but not used/;

/** Everything a page must never do: throw, complain in the console, fail to load, answer 5xx. */
function watch(page: Page, script: boolean, complaints: string[]): void {
  page.on('pageerror', (error) => complaints.push(`threw ${error}`));
  page.on('console', (message) => {
    // Chromium itself notes every answer of 400 and more; which of them are right, a journey says.
    const status = /status of (\d+)/.exec(message.text())?.[1];
    if (!script && UNUSED.test(message.text())) return;
    if (['error', 'warning'].includes(message.type()) && !(status && Number(status) < 500)) {
      complaints.push(`${message.type()}: ${message.text()}`);
    }
  });
  page.on('response', (response) => {
    if (response.status() >= 500) complaints.push(`${response.status()} ${response.url()}`);
  });
}

export async function setUp(server: Server, name: string): Promise<Console> {
  const owner = new Console(server.base);
  const fields = { name: 'Ada Lovelace', email: 'ada@acme.example', password: PASSWORD, again: PASSWORD };
  await owner.post('setup/owner', { token: server.token!, ...fields });
  await owner.post('setup/organization', { name, time_zone: 'Europe/Berlin', default_user_limit: '50' });
  return owner;
}

async function tierIn(owner: Console, name: string): Promise<string> {
  const page = await owner.page('/models');
  return page.slice(page.indexOf(`>${name}<`)).match(/tir_[a-z0-9]{26}/)![0];
}

async function world(server: Server, providerUrl: string): Promise<World> {
  const owner = await setUp(server, 'Acme');
  const provider = await owner.create('providers/create', {
    name: 'House', dialect: 'openai', base_url: providerUrl, credential: 'sk-upstream', allow_private_address: 'true',
  });
  await owner.post('models/create-tier', { name: 'general' });
  const tier = await tierIn(owner, 'general');
  const model = await owner.create('models/create', {
    name: 'small-chat', provider, upstream: 'tiny-1', modality: 'chat', tier, context_tokens: '8192',
    max_output_tokens: '1024', price_input: '0.10', price_output: '0.40',
  });
  await owner.post('models/accept', { id: model, version: '1' });
  const engineering = await owner.create('groups/create', { name: 'Engineering', kind: 'department', parent: '' });
  const research = await owner.create('groups/create', { name: 'Research', kind: 'function', parent: engineering });
  await owner.post('authorizations/set', { group: engineering, target: `tier:${tier}`, state: 'open' });
  return { base: server.base, owner, provider, providerUrl, tier, model, engineering, research };
}

/** Somebody new, who has accepted the invitation. */
export async function join(world: World, name: string, role: string, group?: string): Promise<{ id: string; console: Console }> {
  const email = `${name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '.')}@acme.example`;
  const done = await world.owner.post('users/create', { name, email, role });
  const [org, user, token] = done.once.Link.url.split('/').slice(-3);
  if (group) await world.owner.post('groups/add-member', { group, user });
  const somebody = new Console(world.base);
  await somebody.post('join/accept', { org, user, token, name, password: PASSWORD });
  return { id: user, console: somebody };
}

/** A new member who leads a group: Research, where none is named. */
export async function lead(world: World, name: string, group = world.research): Promise<{ id: string; console: Console }> {
  const somebody = await join(world, name, 'member');
  await world.owner.post('groups/add-member', { group, user: somebody.id, lead: 'true' });
  return somebody;
}

/** The name of a model that is new, and waits for review. */
export async function newModel(world: World, stem: string): Promise<string> {
  const name = fresh(stem).replace(' ', '-');
  await world.owner.create('models/create', {
    name, provider: world.provider, upstream: 'tiny-1', modality: 'chat', tier: world.tier, context_tokens: '8192',
    max_output_tokens: '1000', price_input: '1', price_output: '1',
  });
  return name;
}

/** A model that Engineering can have by request, at so many dollars per million tokens. */
export async function byRequest(world: World, stem: string, price: string): Promise<{ id: string; name: string }> {
  const name = fresh(stem).replace(' ', '-');
  const id = await world.owner.create('models/create', {
    name, provider: world.provider, upstream: 'tiny-1', modality: 'chat', tier: world.tier, context_tokens: '8192',
    max_output_tokens: '1000', price_input: price, price_output: price,
  });
  await world.owner.post('models/accept', { id, version: '1' });
  await world.owner.post('authorizations/set', { group: world.engineering, target: `model:${id}`, state: 'by_request' });
  return { id, name };
}

/** A day of the organization, so many days from now. */
export function day(ahead: number): string {
  return new Intl.DateTimeFormat('sv-SE', { timeZone: 'Europe/Berlin' }).format(Date.now() + ahead * 86_400_000);
}

/** A secret of a new application in a group. */
export async function application(world: World, name: string, group: string): Promise<{ id: string; secret: string }> {
  const id = await world.owner.create('applications/create', { name, group });
  const key = (await world.owner.page(`/applications/${id}?dialog=secret`)).match(/key_[a-z0-9]{26}/)![0];
  const done = await world.owner.post('keys/issue', { application: id, key });
  return { id, secret: done.once.Secret.secret };
}

/** A key that the members of these groups may have secrets of. */
export async function shared(world: World, group: string): Promise<string> {
  const application = await world.owner.create('applications/create', { name: fresh('bot'), group });
  const key = (await world.owner.page(`/applications/${application}?dialog=key`)).match(/key_[a-z0-9]{26}/)![0];
  await world.owner.post('keys/edit', { application, key, version: '1', all_models: 'true', 'assigned[]': group });
  return key;
}

/** A call through the gateway, as any program makes it. */
export function call(world: World, secret: string, model = 'small-chat'): Promise<Response> {
  return fetch(`${world.base}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello' }] }),
  });
}

export const test = base.extend<{ complaints: string[] }, { world: World }>({
  world: [
    async ({}, use) => {
      const [server, provider] = [await start('serve'), await upstream()];
      await use(await world(server, provider.url));
      await server.stop();
      provider.close();
    },
    { scope: 'worker', timeout: 60_000 },
  ],
  // With script, a page that was gone to is one that is alive: what comes next is done with script.
  page: async ({ page, javaScriptEnabled }, use) => {
    if (javaScriptEnabled !== false) {
      const goto = page.goto.bind(page);
      page.goto = async (...where) => {
        const response = await goto(...where);
        await alive(page);
        return response;
      };
    }
    await use(page);
  },
  complaints: [
    async ({ context, javaScriptEnabled }, use) => {
      const complaints: string[] = [];
      context.on('page', (page) => watch(page, javaScriptEnabled !== false, complaints));
      await use(complaints);
      expect(complaints, 'no page complained').toEqual([]);
    },
    { auto: true },
  ],
});

/** Waits until a page's script runs, in what was put in since it came, too. */
export async function alive(page: Page): Promise<void> {
  await page.locator('html[data-hydrated]:not(:has([data-waking]))').waitFor({ state: 'attached' });
}

/** Opens a page as somebody. */
export async function visit(page: Page, as: Console, path: string): Promise<void> {
  await page.context().clearCookies();
  await page.context().addCookies(as.session());
  await page.goto(as.base + path);
}

/** What the page says is wrong with a field: a sentence beside it, with what was typed still in it. */
export async function refused(field: Locator, typed: string, sentence: string | RegExp): Promise<void> {
  await expect(field).toHaveAttribute('aria-invalid', 'true');
  const place = (await field.getAttribute('aria-describedby'))!.split(' ')[0];
  await expect(field.page().locator(`[id="${place}"]`)).toHaveText(sentence);
  await expect(field).toHaveValue(typed);
}

/** The card with this title. */
export function card(page: Page, title: string): Locator {
  return page.locator('section.card').filter({ has: page.getByRole('heading', { name: title, exact: true }) });
}

/** The secret a page shows. */
export async function shownSecret(where: Page | Locator): Promise<string> {
  const text = await where.getByText(/bsr_live_[0-9A-Za-z]{36}/).first().textContent();
  return /bsr_live_[0-9A-Za-z]{36}/.exec(text!)![0];
}

/** What the page says happened. */
export async function said(page: Page, sentence: string | RegExp): Promise<void> {
  const line = page.locator('.toast').filter({ hasText: sentence }).last();
  await expect(line).toBeVisible();
  // With script a line stays for a while: put away, it cannot pass for what the next change says.
  const dismiss = line.getByRole('button', { name: 'Dismiss' });
  if (await dismiss.isVisible()) await dismiss.click();
}
