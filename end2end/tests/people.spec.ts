import { application, card, expect, fresh, join, said, test, visit, lead } from './bursar';

test('who is removed hands over, leaves a receipt, and nothing of theirs lives on', async ({ page, world }) => {
  const [name, heir] = [fresh('Rex'), fresh('Hera')];
  const { id } = await join(world, name, 'member', world.research);
  const next = await join(world, heir, 'member', world.research);
  const { id: app } = await application(world, fresh('robot'), world.research);
  const shown = await world.owner.page(`/applications/${app}?dialog=hand-over`);
  const was = /name="was" value="(usr_[a-z0-9]{26})"/.exec(shown)![1];
  await world.owner.post('applications/hand-over', { id: app, was, user: id });

  await visit(page, world.owner, `/users/${id}?dialog=remove`);
  const dialog = page.getByRole('dialog');
  await expect(dialog.getByText('They answer for')).toBeVisible();
  await dialog.getByLabel(/Type .* to confirm/).fill('somebody else');
  await dialog.getByRole('button', { name: 'Remove for good' }).click();
  await expect(dialog.getByText('exactly as it is written')).toBeVisible();
  await dialog.getByRole('searchbox').fill(heir);
  await dialog.getByRole('button', { name: 'Search' }).click();
  await expect(dialog.getByLabel('Who takes over').getByRole('option', { name: new RegExp(heir) })).toBeAttached();
  await dialog.getByLabel('Who takes over').selectOption(next.id);
  await dialog.getByLabel(/Type .* to confirm/).fill(name);
  await dialog.getByRole('button', { name: 'Remove for good' }).click();

  await expect(page.getByRole('heading', { level: 1 })).toContainText(`${name} was removed`);
  await expect(card(page, 'What they answered for')).toContainText(heir);
  await expect(card(page, 'Groups and grants')).toContainText('Engineering/Research');
  await page.goto(`${world.base}/users/${id}`);
  await page.getByRole('link', { name: 'Removed', exact: true }).click();
  await expect(page.getByRole('heading', { level: 1 })).toContainText(`${name} was removed`);
  await page.goto(`${world.base}/applications/${app}`);
  await expect(page.locator('main')).toContainText(`Owner: ${heir}`);
});

test('default groups and what members may do are said in the settings', async ({ page, world }) => {
  const group = await world.owner.create('groups/create', { name: fresh('Everybody'), kind: 'custom', parent: '' });
  await visit(page, world.owner, '/settings');
  const defaults = card(page, 'Default groups');
  await defaults.getByLabel('Another group').selectOption(group);
  await defaults.getByRole('button', { name: 'Let new people join it' }).click();
  await said(page, 'New users join this group.');
  const { id } = await join(world, fresh('Nell'), 'member');
  await page.goto(`${world.base}/users/${id}`);
  await expect(card(page, 'Groups')).toContainText('default group');
  await page.goto(`${world.base}/settings`);
  await defaults.getByRole('listitem').filter({ hasText: 'Everybody' }).first().getByRole('button').click();
  await said(page, 'no longer join');
  await expect(card(page, 'Danger zone')).toBeVisible();
  await page.goto(`${world.base}/settings?dialog=delete`);
  const dialog = page.getByRole('dialog');
  await expect(dialog.getByText('Calls in the ledger')).toBeVisible();
  await dialog.getByLabel(/Type .* to confirm/).fill('not it');
  await dialog.getByRole('button', { name: 'Delete it for good' }).click();
  await expect(dialog.getByText('exactly as it is written')).toBeVisible();
});

test('the last lead hands a group over', async ({ page, world }) => {
  const group = await world.owner.create('groups/create', { name: fresh('Led'), kind: 'custom', parent: world.research });
  const [lead, next] = [await join(world, fresh('Lou'), 'member'), await join(world, fresh('Nia'), 'member', group)];
  await world.owner.post('groups/add-member', { group, user: lead.id, lead: 'true' });
  await expect(world.owner.post('groups/remove-member', { group, user: lead.id, was: 'lead' })).rejects.toThrow('last lead');
  await visit(page, lead.console, `/groups/${group}?dialog=hand-over&who=${lead.id}`);
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('The next lead').selectOption(next.id);
  await dialog.getByRole('button', { name: 'Hand over' }).click();
  await said(page, 'leads the group now');
  await world.owner.post('groups/remove-member', { group, user: lead.id, was: 'member' });
});

test('who may do what is a table people can read', async ({ page, world }) => {
  await visit(page, world.owner, '/roles');
  const row = page.getByRole('row').filter({ hasText: 'Delete the organization' });
  await expect(row.getByRole('cell')).toHaveText([/yes/, /no/, /no/, /no/, /no/]);
  await expect(card(page, 'Who holds which role')).toContainText('Ada Lovelace');
});

test('the log is narrowed, and its chain has a badge', async ({ page, world }) => {
  const name = fresh('Narrow');
  await world.owner.create('groups/create', { name, kind: 'custom', parent: '' });
  await visit(page, world.owner, '/audit');
  await page.getByRole('button', { name: 'Verify the chain' }).click();
  await expect(page.getByText(/Whole: [\d,]+ changes/)).toBeVisible();
  await page.getByRole('searchbox', { name: 'About what' }).fill(name);
  await page.getByRole('button', { name: 'Search' }).click();
  await expect(page.getByRole('row')).toHaveCount(2);
  await expect(page.getByRole('row').last()).toContainText('Group created');
  await page.goto(`${world.base}/audit?kind=group&door=file`);
  await expect(page.getByText('No change matches')).toBeVisible();
});

test('a secret that was found is reported by anybody, and dead', async ({ page, world }) => {
  const { id, secret } = await application(world, fresh('leaky'), world.research);
  const report = (body: string, type = 'application/json') =>
    fetch(`${world.base}/api/v1/secrets/leaked`, { method: 'POST', body, headers: { 'content-type': type } });
  expect((await report(JSON.stringify({ secret: 'bsr_live_nobody' }))).status).toBe(202);
  expect((await report(JSON.stringify({ secret }))).status).toBe(202);
  expect((await report(secret, 'text/plain')).status).toBe(202);
  expect((await report('{}')).status).toBe(400);
  const answer = await fetch(`${world.base}/v1/models`, { headers: { authorization: `Bearer ${secret}` } });
  expect(answer.status).toBe(401);
  await visit(page, world.owner, `/applications/${id}`);
  await expect(page.getByText('Reported as leaked, and dead since')).toBeVisible();
});

test('a review is opened, decided and followed', async ({ page, world }) => {
  const group = await world.owner.create('groups/create', { name: fresh('Looked at'), kind: 'custom', parent: world.research });
  const [ida, jo] = [fresh('Ida'), fresh('Jo')];
  for (const name of [ida, jo]) await join(world, name, 'member', group);
  const day = new Date(Date.now() + 9 * 86_400_000).toISOString().slice(0, 10);
  const review = await world.owner.create('reviews/open', { group, due_on: day });
  await visit(page, world.owner, `/reviews/${review}`);
  await page.getByRole('checkbox', { name: new RegExp(ida) }).check();
  await page.getByRole('button', { name: 'Confirm those ticked' }).click();
  await expect(page.getByRole('row').filter({ hasText: ida })).toContainText('confirmed');
  await page.getByRole('checkbox', { name: new RegExp(jo) }).check();
  await page.getByRole('button', { name: 'Drop those ticked' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Drop them' }).click();
  await expect(page.getByRole('row').filter({ hasText: jo })).toContainText('dropped');
  await page.goto(`${world.base}/groups/${group}`);
  await expect(page.locator('main')).toContainText(ida);
  await expect(card(page, 'People')).not.toContainText(jo);
  await page.goto(`${world.base}/reviews`);
  await expect(page.getByRole('row').filter({ hasText: 'Looked at' }).first()).toContainText('2 of 2');
});

test('a review is opened once, its leads are told, and the navigation counts it', async ({ page, world }) => {
  const lena = await lead(world, fresh('Lena'));
  const due_on = new Date(Date.now() + 9 * 86_400_000).toISOString().slice(0, 10);
  await world.owner.create('reviews/open', { group: world.research, due_on });
  await expect(world.owner.post('reviews/open', { group: world.research, due_on }), 'a button that is pressed twice')
    .rejects.toThrow('have opened this review already');
  await visit(page, lena.console, '/notices');
  await expect(page.locator('main')).toContainText('asks who still needs what in Engineering/Research');
  const nav = page.getByRole('navigation', { name: 'Main' });
  await expect(nav.getByRole('link', { name: /Access reviews/ })).toContainText(/[1-9]/);
});
