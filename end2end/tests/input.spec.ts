import { expect, fresh, join, type Locator, refused, test, visit, type World } from './bursar';

/** A form with a name in it: how to get to it, what it is called, what sends it. */
interface Named {
  noun: string;
  path: (world: World) => string;
  label?: string;
  send: string;
  /** What else it needs. */
  fill?: (form: Locator) => Promise<void>;
  /** Names of any script, or only what a program can write. */
  any: boolean;
}

const FORMS: Named[] = [
  { noun: 'group', path: () => '/groups?dialog=new', send: 'Create the group', any: true },
  {
    noun: 'application', path: () => '/applications?dialog=new', send: 'Create the application', any: true,
    fill: async (form) => void (await form.getByLabel('Group').selectOption({ label: 'Engineering' })),
  },
  { noun: 'tier', path: () => '/models?dialog=new-tier', send: 'Add the tier', any: true },
  {
    noun: 'person', path: () => '/users?dialog=invite', send: 'Invite', any: true,
    fill: (form) => form.getByLabel('Email').fill(`${fresh('p').replace(' ', '')}@acme.example`),
  },
  {
    noun: 'provider', path: () => '/providers?dialog=new', send: 'Add the provider', any: true,
    fill: (form) => form.getByLabel('Address').fill('https://api.example.com/v1'),
  },
  { noun: 'model', path: () => '/models?dialog=new', label: 'Name for callers', send: 'Add the model', any: false },
  {
    noun: 'policy', path: () => '/policies?dialog=new', send: 'Save', any: false,
    fill: (form) => form.getByLabel('Models').fill('small-chat'),
  },
];

for (const { noun, path, label, send, fill, any } of FORMS) {
  test(`a ${noun} takes a name a person would give, and no other`, async ({ page, world }) => {
    await visit(page, world.owner, path(world));
    const dialog = page.getByRole('dialog');
    const name = dialog.getByLabel(label ?? 'Name', { exact: true });
    await fill?.(dialog);
    const attempt = async (text: string) => {
      await name.fill(text);
      await dialog.getByRole('button', { name: send }).click();
    };
    const long = 'x'.repeat(10_000);
    await attempt(long);
    await refused(name, long, /10,?000 characters; at most 100 fit/);
    await attempt('');
    await refused(name, '', /Enter a name/);
    await attempt('turn\u202earound');
    await refused(name, 'turn\u202earound', any ? /invisible characters/ : /invisible characters|letters, digits/);

    const emoji = `${fresh('👩🏽‍🔬 מעבדה')}`;
    if (!any) {
      await attempt(emoji);
      await refused(name, emoji, /letters, digits/);
      return;
    }
    await attempt(emoji);
    if (noun === 'person') await expect(dialog.getByText('Send this link to')).toContainText(emoji);
    await expect(page.locator('main')).toContainText(emoji);

    if (noun === 'person') return;
    await page.goto(world.base + path(world));
    await fill?.(dialog);
    await attempt(emoji);
    await refused(name, emoji, /already/);
  });
}

const ABSURD: [typed: string, sentence: RegExp][] = [
  ['-5', /below zero/],
  ['99999999999999999999', /At most \$?100,?000,?000/],
  ['0.0000000001', /nine digits/],
  ['1.2.3', /digits with a point/],
  ['viel', /digits with a point/],
];

/** A form with money in it. */
const MONEY: [what: string, path: (world: World) => string, label: string, send: string][] = [
  ['a limit', (world) => `/groups/${world.research}?dialog=new-limit`, 'At most', 'Set the limit'],
  ['the limit of everybody', () => '/settings', 'Monthly limit of each person, in US dollars optional', 'Save'],
  ['a price', (world) => `/models/${world.model}?dialog=prices`, 'Output optional', 'Save'],
];

for (const [what, path, label, send] of MONEY) {
  test(`${what} is an amount that makes sense`, async ({ page, world }) => {
    await visit(page, world.owner, path(world));
    const field = page.locator('main').getByLabel(label, { exact: true });
    for (const [typed, sentence] of ABSURD) {
      await field.fill(typed);
      await page.locator('main form').filter({ has: page.getByLabel(label, { exact: true }) }).getByRole('button', { name: send }).click();
      await refused(field, typed, sentence);
    }
  });
}

/** Something two people edit: its form, the field, what the other one does meanwhile. */
interface Shared {
  noun: string;
  open: (world: World) => Promise<{ path: string; first: () => Promise<unknown> }>;
  field: string;
  theirs: string;
  mine: string;
}

const SHARED: Shared[] = [
  {
    noun: 'group', field: 'Name', theirs: 'Shared first', mine: 'Shared second',
    open: async ({ owner }) => {
      const id = await owner.create('groups/create', { name: fresh('Shared'), kind: 'custom', parent: '' });
      return { path: `/groups/${id}?dialog=edit`, first: () => owner.post('groups/edit', { id, version: '1', name: fresh('Shared first'), kind: 'custom' }) };
    },
  },
  {
    noun: 'person', field: 'Name', theirs: 'Pat first', mine: 'Pat second',
    open: async (world) => {
      const { id } = await join(world, fresh('Pat'), 'member');
      const email = `${fresh('pat').replace(' ', '')}@acme.example`;
      const edit = { id, version: versionIn(await world.owner.page(`/users/${id}?dialog=edit`)), email, role: 'member' };
      return { path: `/users/${id}?dialog=edit`, first: () => world.owner.post('users/edit', { ...edit, name: fresh('Pat first') }) };
    },
  },
  {
    noun: 'tier', field: 'Name', theirs: 'tier first', mine: 'tier second',
    open: async ({ owner }) => {
      const name = fresh('shared tier');
      await owner.post('models/create-tier', { name });
      const page = await owner.page('/models');
      const id = page.slice(page.indexOf(name)).match(/tir_[a-z0-9]{26}/)![0];
      return { path: `/models?dialog=tier-${id}`, first: () => owner.post('models/edit-tier', { id, version: '1', name: fresh('tier first') }) };
    },
  },
  {
    noun: 'provider', field: 'Address', theirs: 'https://api.example.com/first', mine: 'https://api.example.com/second',
    open: async ({ owner }) => {
      const name = fresh('Shared provider');
      const id = await owner.create('providers/create', { name, dialect: 'openai', base_url: 'https://api.example.com/v1', credential: 'sk-x' });
      return {
        path: `/providers/${id}`,
        first: () => owner.post('providers/edit', { id, version: '1', name, dialect: 'openai', base_url: 'https://api.example.com/first' }),
      };
    },
  },
  {
    noun: 'limit', field: 'At most', theirs: '10.00', mine: '20.00',
    open: async ({ owner, engineering }) => {
      const parent = await owner.create('groups/create', { name: fresh('Capped'), kind: 'custom', parent: engineering });
      const limit = { scope: `group:${parent}`, metric: 'spend', window: 'month', mode: 'enforce', thresholds: '50' };
      await owner.post('limits/set', { ...limit, cap: '5' });
      const page = await owner.page(`/groups/${parent}`);
      const id = page.match(/dialog=limit-(lim_[a-z0-9]{26})/)![1];
      const version = versionIn(await owner.page(`/groups/${parent}?dialog=limit-${id}`));
      return { path: `/groups/${parent}?dialog=limit-${id}`, first: () => owner.post('limits/set', { ...limit, cap: '10', version }) };
    },
  },
];

function versionIn(page: string): string {
  return (/name="version" value="(\d+)"/.exec(page) ?? /value="(\d+)"[^>]*name="version"/.exec(page))![1];
}

for (const { noun, open, field, theirs, mine } of SHARED) {
  test(`of two who edit one ${noun} the second sees what the first saved, and decides`, async ({ page, world }) => {
    const { path, first } = await open(world);
    await visit(page, world.owner, path);
    await first();
    const form = page.locator('main');
    const typed = /^\d/.test(mine) || mine.startsWith('http') ? mine : fresh(mine);
    await form.getByLabel(field, { exact: true }).fill(typed);
    await form.getByRole('button', { name: 'Save' }).click();
    await expect(form.getByText('You, in another tab, changed this while')).toBeVisible();
    await expect(form.getByText(`You, in another tab, saved: ${theirs}`)).toBeVisible();
    await expect(form.getByLabel(field, { exact: true }), 'nothing is lost').toHaveValue(typed);
    await form.getByRole('button', { name: 'Save' }).click();
    await expect(form.getByText('You, in another tab, changed this while')).toHaveCount(0);
    expect(await world.owner.page(path), 'the second decision holds').toContain(typed);
  });
}
