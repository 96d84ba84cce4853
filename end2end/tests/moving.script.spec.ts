import type { Locator, Page, Route } from '@playwright/test';

import { alive, card, expect, fresh, join, setUp, shared, test, visit, type World } from './bursar';
import { start } from './server';

test('people are dragged onto a group, with Ctrl or Alt into both, and where they are not taken it says why', async ({ page, world }) => {
  const [from, to] = [fresh('Here'), fresh('There')];
  const groups = [];
  for (const name of [from, to]) groups.push(await world.owner.create('groups/create', { name, kind: 'custom', parent: world.research }));
  const names = [fresh('Ann'), fresh('Ben'), fresh('Cid')];
  for (const name of names) await join(world, name, 'member', groups[0]);
  await tall(page);
  await visit(page, world.owner, `/groups/${groups[0]}`);
  const row = (name: string) => page.getByRole('row').filter({ hasText: name });
  const node = (name: string) => page.locator('.members-node').filter({ hasText: name });

  // Two that are ticked go together.
  await page.getByRole('checkbox', { name: `Select ${names[0]}` }).check();
  await page.getByRole('checkbox', { name: `Select ${names[1]}` }).check();
  await expect(page.getByText('2 people selected')).toBeVisible();
  await drag(page, row(names[0]), node(to));
  await expect(page.getByRole('status').filter({ hasText: `Moved 2 people to ${to}.` })).toBeVisible();
  await expect(card(page, 'People')).not.toContainText(names[0]);
  await page.getByRole('button', { name: 'Undo' }).press('Enter');
  await expect(card(page, 'People')).toContainText(names[1]);
  await expect(page.locator('.toast span:focus'), 'whoever works by keyboard goes on from there').toBeVisible();

  // Onto the group they are in: nothing changes, and it says why.
  await drag(page, row(names[2]), node(from));
  await expect(page.locator('.toast').filter({ hasText: `They are in ${from} already.` })).toBeVisible();

  for (const [key, name] of [['Alt', names[2]], ['Control', names[1]]]) {
    await page.keyboard.down(key);
    await drag(page, row(name), node(to));
    await page.keyboard.up(key);
    await expect(page.getByRole('status').filter({ hasText: `Added ${name} to ${to}.` })).toBeVisible();
    await expect(card(page, 'People')).toContainText(name);
  }

  // One is dragged who is not ticked: those who are stay so, and are counted.
  await page.getByRole('checkbox', { name: `Select ${names[0]}` }).check();
  await drag(page, row(names[1]), node(to));
  await expect(page.locator('.toast').filter({ hasText: `${names[1]}` }).last()).toBeVisible();
  await expect(page.getByText('1 person selected')).toBeVisible();
});

test('words that are no group move nobody anywhere', async ({ page, world }) => {
  const group = await world.owner.create('groups/create', { name: fresh('Typed'), kind: 'custom', parent: world.research });
  const name = fresh('Tia');
  await join(world, name, 'member', group);
  await visit(page, world.owner, `/groups/${group}`);
  await page.getByRole('button', { name: `Actions for ${name}` }).click();
  await page.getByRole('link', { name: /Move to/ }).click();
  const dialog = page.getByRole('dialog');
  const field = dialog.getByRole('combobox', { name: 'To which group' });
  await expect(field).toBeFocused();
  await expect(field).toHaveValue('');
  let sent = 0;
  await page.route('**/console/groups/move-people', (route) => { sent++; return route.continue(); });
  await field.fill('zzz');
  await dialog.getByRole('button', { name: 'Move', exact: true }).click();
  await expect(dialog.getByText('Nothing is called “zzz”. Choose one from the list.')).toBeVisible();
  await expect(field).toHaveValue('zzz');
  await dialog.getByRole('button', { name: 'Move', exact: true }).click();
  await expect(field).toBeFocused();
  expect(sent, 'and nothing was sent').toBe(0);
  // Nothing at all is refused by the server, beside the field.
  await field.fill('');
  await field.press('Escape');
  await dialog.getByRole('button', { name: 'Move', exact: true }).click();
  await expect(dialog.getByText('Choose a group.', { exact: true })).toBeVisible();
  await expect(field).toBeFocused();
  await page.goto(`${world.base}/groups/${group}`);
  await expect(card(page, 'People')).toContainText(name);
});

test('before a secret dies with a drop it is asked, and whose it is', async ({ page, world }) => {
  const [from, to] = [fresh('Here'), fresh('There')];
  const groups = [];
  for (const name of [from, to]) groups.push(await world.owner.create('groups/create', { name, kind: 'custom', parent: world.research }));
  const name = fresh('Sec');
  const { console: them } = await join(world, name, 'member', groups[0]);
  await them.post('keys/issue-own', { key: await shared(world, groups[0]) });
  await tall(page);
  await visit(page, world.owner, `/groups/${groups[0]}`);
  const row = page.getByRole('row').filter({ hasText: name });
  const node = page.locator('.members-node').filter({ hasText: to });
  const dialog = page.getByRole('dialog');
  const question = dialog.getByText(`1 secret of 1 person dies with it for good, and undoing it brings none back: ${name}.`);

  await drag(page, row, node);
  await expect(question).toBeVisible();
  await expect(row, 'nothing has been done').toBeAttached();
  await page.keyboard.press('Escape');
  await expect(dialog).toHaveCount(0);
  await expect(page.getByRole('link', { name, exact: true })).toBeFocused();

  // By the menu it is the same.
  await page.getByRole('button', { name: `Actions for ${name}` }).click();
  await page.getByRole('button', { name: 'Remove from the group' }).click();
  await expect(question).toBeVisible();
  await dialog.getByRole('link', { name: 'Cancel' }).click();
  await expect(dialog).toHaveCount(0);
  await expect(row).toBeVisible();

  await drag(page, row, node);
  await dialog.getByRole('button', { name: 'Move all the same' }).click();
  await expect(page.locator('.toast').filter({ hasText: `Moved ${name} to ${to}. 1 secret of 1 person is dead` })).toBeVisible();
  await expect(card(page, 'People')).not.toContainText(name);
});

test('M on a line asks where to, and Escape goes back to the line', async ({ page, world }) => {
  const group = await world.owner.create('groups/create', { name: fresh('Keys'), kind: 'custom', parent: world.research });
  const name = fresh('Kim');
  await join(world, name, 'member', group);
  await visit(page, world.owner, `/groups/${group}`);
  const link = page.getByRole('link', { name, exact: true });
  await link.focus();
  await page.keyboard.press('m');
  const dialog = page.getByRole('dialog', { name: `Move ${name}` });
  await expect(dialog).toBeVisible();
  const combo = dialog.getByRole('combobox');
  await combo.press('ArrowDown');
  await expect(dialog.getByRole('option').first()).toBeVisible();
  await combo.press('Escape');
  await expect(dialog.getByRole('option')).toHaveCount(0);
  await combo.press('Escape');
  await expect(dialog).toHaveCount(0);
  await expect(link).toBeFocused();
});

test('a press beside an open list of choices does what it is on, and closes the list', async ({ page, world }) => {
  const [from, to] = [fresh('Lists'), fresh('Elsewhere')];
  const group = await world.owner.create('groups/create', { name: from, kind: 'custom', parent: world.research });
  await world.owner.create('groups/create', { name: to, kind: 'custom', parent: world.research });
  const names = [fresh('Kai'), fresh('Kim')];
  for (const name of names) await join(world, name, 'member', group);
  await visit(page, world.owner, `/groups/${group}`);
  await page.getByRole('link', { name: names[0], exact: true }).focus();
  await page.keyboard.press('m');
  const dialog = page.getByRole('dialog', { name: `Move ${names[0]}` });
  await dialog.getByRole('combobox').click();
  await expect(dialog.getByRole('option').first()).toBeVisible();
  await dialog.getByText('They stay in').click();
  await expect(dialog.getByRole('checkbox')).toBeChecked();
  await expect(dialog.getByRole('option')).toHaveCount(0);

  // Moved away: the line that took the place of theirs has the focus.
  await dialog.getByText('They stay in').click();
  await dialog.getByRole('combobox').fill(to);
  await dialog.getByRole('option', { name: to }).click();
  await dialog.getByRole('button', { name: 'Move', exact: true }).click();
  await expect(dialog).toHaveCount(0);
  await expect(card(page, 'People')).not.toContainText(names[0]);
  await expect(page.getByRole('link', { name: names[1], exact: true })).toBeFocused();
});

test('two quick clicks are two choices', async ({ page, world }) => {
  const group = await world.owner.create('groups/create', { name: fresh('Quick'), kind: 'custom', parent: world.research });
  const word = fresh('Zed');
  const names = [`A ${word}`, `B ${word}`];
  for (const name of names) await join(world, name, 'member');
  await visit(page, world.owner, `/groups/${group}?dialog=add&find=${encodeURIComponent(word)}`);
  const dialog = page.getByRole('dialog');
  await dialog.locator('.choices').evaluate((list) => {
    for (const link of list.querySelectorAll('a')) (link as HTMLElement).click();
  });
  for (const name of names) await expect(dialog.getByRole('link', { name: `Leave out ${name}` })).toBeVisible();
  await dialog.getByRole('button', { name: 'Add 2 people' }).click();
  await expect(page.locator('main')).toContainText('2 people changed');
});

/** A window in which nothing has to be scrolled while something is dragged, however many groups there are. */
async function tall(page: Page): Promise<void> {
  await page.setViewportSize({ width: 1280, height: 2400 });
}

/** Drags, once the page has been drawn anew after what was dragged before: a press on a row that is replaced
 * while it is held begins nothing. */
async function drag(page: Page, what: Locator, onto: Locator): Promise<void> {
  await expect(page.locator('.members-new').filter({ hasText: '+' })).toHaveCount(0);
  await what.dragTo(onto);
}

test('a branch of a large tree opens under what is held over it', async ({ page }) => {
  test.setTimeout(120_000);
  const server = await start('serve');
  try {
    const owner = await setUp(server, 'Acme');
    const group = (name: string, parent = '') => owner.create('groups/create', { name, kind: 'custom', parent });
    const here = await group('Here');
    const branch = await group('Branch');
    const within = await group('Within', branch);
    await group('Deepest', within);
    // So many that the tree beside the people leaves out what is further away.
    const crowd = await group('Crowd');
    for (let number = 0; number < 80; number++) await group(`Team ${number}`, crowd);
    await join({ base: server.base, owner } as World, 'Ann', 'member', here);
    await tall(page);
    await visit(page, owner, `/groups/${here}`);
    const node = (name: string) => page.locator('.members-node').filter({ has: page.getByRole('link', { name, exact: true }) });
    await expect(node('Branch')).toBeVisible();
    await expect(node('Within')).toHaveCount(0);

    await page.getByRole('row').filter({ hasText: 'Ann' }).hover();
    await page.mouse.down();
    // The first step begins the drag, the second is over the branch.
    await node('Crowd').hover();
    await node('Branch').hover();
    await node('Branch').hover();
    await expect(node('Within')).toBeVisible();
    await expect(node('Deepest'), 'only what is under the pointer opens').toHaveCount(0);
    await expect(node('Team 3')).toHaveCount(0);
    await node('Within').hover();
    await node('Within').hover();
    await page.mouse.up();
    await expect(page.getByRole('status').filter({ hasText: 'Moved Ann to Within.' })).toBeVisible();
    await visit(page, owner, `/groups/${within}`);
    await expect(card(page, 'People')).toContainText('Ann');
  } finally {
    // An open page listens, and a server that stops waits for it.
    await page.close();
    await server.stop();
  }
});

/** Holds back what is sent there; what comes back ends it so, once it has been sent. */
async function held(page: Page, path: string, end: (route: Route) => Promise<void>): Promise<() => Promise<void>> {
  let sent = () => {};
  let go = () => {};
  const isSent = new Promise<void>((resolve) => (sent = resolve));
  const mayGo = new Promise<void>((resolve) => (go = resolve));
  await page.route(path, async (route) => {
    sent();
    await mayGo;
    await end(route);
  });
  return async () => {
    await isSent;
    go();
  };
}

test('a change shows at once, and is taken back with a message when the server cannot take it', async ({ page, world, complaints }) => {
  const [from, to] = [fresh('Here'), fresh('There')];
  const groups = [];
  for (const name of [from, to]) groups.push(await world.owner.create('groups/create', { name, kind: 'custom', parent: world.research }));
  const name = fresh('Ann');
  await join(world, name, 'member', groups[0]);
  await tall(page);
  await visit(page, world.owner, `/groups/${groups[0]}`);
  await alive(page);
  const row = page.getByRole('row').filter({ hasText: name });
  const node = page.locator('.members-node').filter({ hasText: to });
  const toast = page.locator('.toast');

  // Dragged, while the server takes its time and then fails.
  let answer = await held(page, '**/console/groups/move-people', (route) =>
    route.fulfill({ status: 503, headers: { 'x-request-id': 'req_of_this_try' }, json: 'Unavailable' }));
  await drag(page, row, node);
  await expect(row).toBeHidden();
  await expect(node).toContainText('+1');
  await answer();
  await expect(row).toBeVisible();
  await expect(node).not.toContainText('+1');
  await expect(toast.filter({ hasText: 'Nothing was changed' })).toContainText('req_of_this_try');

  // Taken out by the menu, while there is no connection.
  answer = await held(page, '**/console/groups/remove-member', (route) => route.abort('internetdisconnected'));
  await row.getByRole('button', { name: `Actions for ${name}` }).click();
  await page.getByRole('button', { name: 'Remove from the group' }).click();
  await expect(row).toBeHidden();
  await answer();
  await expect(row).toBeVisible();
  await expect(toast.filter({ hasText: 'could not be reached' })).toBeVisible();

  // With the connection back it goes through, and can be undone from where it was done.
  await page.unrouteAll();
  await row.getByRole('button', { name: `Actions for ${name}` }).click();
  await page.getByRole('button', { name: 'Remove from the group' }).click();
  await expect(toast.filter({ hasText: 'Removed from the group' })).toBeVisible();
  await expect(row).toHaveCount(0);
  await toast.getByRole('button', { name: 'Undo' }).click();
  await expect(row).toBeVisible();
  complaints.length = 0;
});
