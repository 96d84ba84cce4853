import { application, call, expect, fresh, join, type Page, said, test, visit, type World } from './bursar';

const STATES = [['closed', 404], ['by_request', 403], ['open', 200], ['inherit', 200]] as const;

/** Two groups below Engineering, where the general tier is open, with a program in each. */
async function teams(world: World): Promise<{ stem: string; names: string[]; ids: string[]; secrets: string[] }> {
  const stem = fresh('Team');
  const names = [`${stem} one`, `${stem} two`];
  const ids: string[] = [];
  const secrets: string[] = [];
  for (const name of names) {
    const group = await world.owner.create('groups/create', { name, kind: 'function', parent: world.engineering });
    ids.push(group);
    secrets.push((await application(world, fresh('matrix'), group)).secret);
  }
  return { stem, names, ids, secrets };
}

async function statuses(world: World, secrets: string[]): Promise<number[]> {
  return Promise.all(secrets.map(async (secret) => (await call(world, secret)).status));
}

async function saveAll(page: Page, count: string): Promise<void> {
  await page.getByRole('button', { name: `Save ${count}`, exact: true }).click();
  await said(page, `${count} saved. It holds from the next call on.`);
}

for (const what of ['tier', 'model'] as const) {
  test(`what is saved of a ${what} is what the next call meets, and nothing before`, async ({ page, world }) => {
    const { names, ids, secrets } = await teams(world);
    const target = what === 'tier' ? `tier:${world.tier}` : `model:${world.model}`;
    let before = 200;
    for (const [state, status] of STATES) {
      await visit(page, world.owner, `/authorization/rule?of=${ids[0]}~${target}`);
      await expect(page.getByRole('heading', { level: 1 })).toHaveText(`${what === 'tier' ? 'tier general' : 'small-chat'} for ${names[0]}`);
      await page.getByLabel('Here', { exact: true }).selectOption(state);
      await page.getByRole('button', { name: 'Preview' }).click();
      await expect(page.getByRole('heading', { level: 1 })).toHaveText('1 change, not live yet');
      expect(await statuses(world, secrets), 'nothing is live before it is saved').toEqual([before, 200]);
      await saveAll(page, '1 change');
      expect(await statuses(world, secrets), state).toEqual([status, 200]);
      before = status;
    }
  });
}

test('several cells are changed at once, with a preview of whom it concerns, and undone', async ({ page, world }) => {
  const { stem, names, secrets, ids } = await teams(world);
  await join(world, fresh('Mel Team'), 'member', ids[0]);
  await visit(page, world.owner, `/authorization?q=${encodeURIComponent(stem)}&open=${world.tier}`);
  await page.getByRole('link', { name: 'Change several' }).click();
  const dialog = page.getByRole('dialog', { name: 'Change several' });
  for (const name of names) await dialog.getByLabel(`Engineering/${name}`).check();
  for (const column of ['general', 'small-chat']) await dialog.getByLabel(column, { exact: true }).check();
  await dialog.getByLabel('Is to be').selectOption('closed');
  await dialog.getByRole('button', { name: 'Preview' }).click();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('4 changes, not live yet');
  await expect(page.getByText(/^1 person loses small-chat\. 2 applications can no longer call all that they could\.$/)).toBeVisible();
  const model = page.getByRole('row').filter({ has: page.getByRole('link', { name: 'small-chat' }) }).last();
  await expect(model).toContainText(`Engineering/${names[0]}, Engineering/${names[1]}`);
  await expect(model).toContainText('1 person loses it');
  // One of them is left out.
  await page.getByRole('row').filter({ hasText: names[1] }).filter({ hasText: 'tier general' }).getByRole('button', { name: 'Leave out' }).click();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('3 changes, not live yet');
  expect(await statuses(world, secrets)).toEqual([200, 200]);
  await saveAll(page, '3 changes');
  expect(await statuses(world, secrets)).toEqual([404, 404]);
  await expect(page).toHaveURL(new RegExp(`open=${world.tier}`));
  await expect(page.getByText('3 changes saved: they hold from the next call on.')).toBeVisible();
  await page.getByRole('link', { name: 'In the audit log' }).click();
  await expect(page.getByRole('cell', { name: new RegExp(`small-chat for ${names[0]}`) })).toBeVisible();
  await page.goBack();
  await page.getByRole('button', { name: 'Undo' }).click();
  await said(page, '3 changes undone.');
  expect(await statuses(world, secrets)).toEqual([200, 200]);
});

test('who was slower sees both versions and chooses', async ({ page, world }) => {
  const { names, ids, secrets } = await teams(world);
  const target = `tier:${world.tier}`;
  await visit(page, world.owner, `/authorization/rule?of=${ids[0]}~${target}`);
  await page.getByLabel('Here', { exact: true }).selectOption('by_request');
  await page.getByRole('button', { name: 'Preview' }).click();
  await expect(page.getByRole('button', { name: 'Save 1 change' })).toBeVisible();
  await world.owner.post('authorizations/set', { group: ids[0], target, state: 'closed' });
  await page.getByRole('button', { name: 'Save 1 change' }).click();
  await expect(page.getByText('Somebody else changed what you are about to change.')).toBeVisible();
  const row = page.getByRole('row').filter({ hasText: names[0] });
  await expect(row).toContainText(/Ada Lovelace, .*: Closed/);
  await expect(row).toContainText('By request');
  expect(await statuses(world, secrets), 'theirs holds').toEqual([404, 200]);
  await row.getByRole('button', { name: 'Take mine' }).click();
  await saveAll(page, '1 change');
  expect(await statuses(world, secrets)).toEqual([403, 200]);
});

test('a lead narrows; what would widen is named on its line and keeps the rest from being saved', async ({ page, world }) => {
  const { stem, names, ids, secrets } = await teams(world);
  const lead = await join(world, fresh('Lea Team'), 'member');
  await world.owner.post('groups/add-member', { group: ids[0], user: lead.id, lead: 'true' });
  await world.owner.post('authorizations/set', { group: ids[0], target: 'all', state: 'by_request' });
  const [narrow, widen] = [`${ids[0]}~tier:${world.tier}~closed~~~~`, `${ids[0]}~model:${world.model}~open~~~~`];
  const done = await lead.console.post('authorizations/stage', { edits: `${narrow} ${widen}` });
  await visit(page, lead.console, done.go);
  await expect(page.getByText('Some of this only an admin or owner may do.')).toBeVisible();
  const row = page.getByRole('row').filter({ hasText: 'small-chat' });
  await expect(row).toContainText(`This would make small-chat wider for ${names[0]}. Only an admin or owner can do that; leads can narrow.`);
  await expect(page.getByRole('button', { name: /^Save/ })).toHaveCount(0);
  await row.getByRole('button', { name: 'Leave out' }).click();
  await expect(page.getByText('You narrow with this, and only an admin or owner can widen again.')).toBeVisible();
  await saveAll(page, '1 change');
  expect(await statuses(world, secrets)).toEqual([404, 200]);
  // They see their groups, and cells of others are not theirs.
  await visit(page, lead.console, '/authorization');
  await expect(page.getByRole('row').filter({ hasText: stem })).toHaveCount(1);
  await visit(page, lead.console, `/authorization/rule?of=${ids[1]}~all`);
  await expect(page.getByRole('heading', { name: 'Not for your role' })).toBeVisible();
});

test('a lock holds below, the cell says so, and a quota is set where the rule is', async ({ page, world }) => {
  const { stem, ids, secrets } = await teams(world);
  const below = await world.owner.create('groups/create', { name: `${stem} below`, kind: 'function', parent: ids[0] });
  const target = `tier:${world.tier}`;
  await world.owner.post('authorizations/set', { group: below, target, state: 'open' });
  await visit(page, world.owner, `/authorization/rule?of=${ids[0]}~${target}`);
  await expect(page.getByText('tier general for Engineering')).toBeVisible();
  await page.getByLabel('Here', { exact: true }).selectOption('closed');
  await page.getByLabel('Locked').check();
  await page.getByRole('button', { name: 'Preview' }).click();
  await expect(page.getByRole('row').filter({ hasText: `${stem} one` }).first()).toContainText('Closed, locked');
  await saveAll(page, '1 change');
  expect(await statuses(world, secrets)).toEqual([404, 200]);
  await visit(page, world.owner, `/authorization?q=${encodeURIComponent(stem)}`);
  await expect(page.getByRole('row').filter({ hasText: `${stem} one` }).first()).toContainText('locked');
  await expect(page.getByRole('row').filter({ hasText: `${stem} below` })).toContainText('a lock above overrules');

  await world.owner.post('authorizations/set', { group: ids[1], target, state: 'open' });
  await visit(page, world.owner, `/authorization/rule?of=${ids[1]}~${target}`);
  await page.getByRole('link', { name: 'New limit' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Of', { exact: true }).selectOption('requests');
  await dialog.getByLabel('Per', { exact: true }).selectOption('day');
  await dialog.getByLabel('At most').fill('1');
  await dialog.getByRole('button', { name: 'Set the limit' }).click();
  await said(page, 'Limit set: 1 request a day.');
  expect((await statuses(world, [secrets[1]]))[0]).toBe(200);
  expect((await statuses(world, [secrets[1]]))[0], 'one a day').toBe(402);
  await visit(page, world.owner, `/authorization?q=${encodeURIComponent(stem)}`);
  await expect(page.getByRole('row').filter({ hasText: `${stem} two` })).toContainText('1 request a day');
});
