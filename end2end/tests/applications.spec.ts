import { application, call, card, expect, fresh, join, lead, said, shownSecret, test, visit } from './bursar';

test('an application gets its key’s secret once, calls, and is stopped', async ({ page, world }) => {
  const name = fresh('bot');
  await visit(page, world.owner, '/applications');
  await page.getByRole('link', { name: 'New application' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name').fill(name);
  await dialog.getByLabel('Group').selectOption(world.research);
  await dialog.getByRole('button', { name: 'Create the application' }).click();
  await expect(page.getByRole('heading', { name, level: 1 })).toBeVisible();
  const address = page.url().split('?')[0];

  await page.getByRole('link', { name: 'Make a secret' }).click();
  await dialog.getByRole('button', { name: 'Make the secret' }).click();
  const old = await shownSecret(dialog);
  expect((await call(world, old)).status).toBe(200);

  // Rotated at once: the one before is dead with the next call, which is asked about first.
  await page.goto(`${address}?dialog=secret`);
  await dialog.getByLabel('Secrets that are there').selectOption('0');
  await dialog.getByRole('button', { name: 'Make the secret' }).click();
  await expect(dialog).toContainText('1 secret stops with the next call, for good');
  await expect(dialog).toContainText(old.slice(-4));
  expect((await call(world, old)).status, 'nothing is done yet').toBe(200);
  await dialog.getByRole('button', { name: 'Make the secret' }).click();
  const secret = await shownSecret(dialog);
  expect(secret).not.toBe(old);
  expect((await call(world, old)).status).toBe(401);
  expect((await call(world, secret)).status).toBe(200);

  await expect(async () => {
    await page.goto(address);
    await expect(page.locator('main')).toContainText('3,000 in, 1,500 out tokens', { timeout: 500 });
  }).toPass({ timeout: 15_000 });
  await expect(page.locator('body'), 'shown once').not.toContainText(secret);
  await expect(page.locator('main')).toContainText(secret.slice(-4));

  await page.getByRole('link', { name: 'Revoke' }).click();
  await dialog.getByLabel(/^Type/).fill('what');
  await dialog.getByRole('button', { name: 'Revoke it' }).click();
  await expect(dialog).toContainText('exactly as it is written');
  expect((await call(world, secret)).status, 'nothing was done').toBe(200);
  await dialog.getByLabel(/^Type/).fill(secret.slice(-4));
  await dialog.getByRole('button', { name: 'Revoke it' }).click();
  await said(page, 'Revoked');
  expect((await call(world, secret)).status).toBe(401);

  await page.goto(address);
  await page.getByRole('link', { name: 'Archive' }).click();
  await dialog.getByLabel(/^Type/).fill(name);
  await dialog.getByRole('button', { name: 'Archive the application' }).click();
  await said(page, /archived/i);
});

test('a key is narrowed to no model at all', async ({ page, world }) => {
  const { id, secret } = await application(world, fresh('narrow'), world.research);
  await visit(page, world.owner, `/applications/${id}`);
  await card(page, 'Key').getByRole('link', { name: 'Edit' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Everything its group has').uncheck();
  await dialog.getByRole('button', { name: 'Save' }).click();
  await said(page, /saved/i);
  const refused = await call(world, secret);
  expect(refused.status).toBe(403);
  expect((await refused.json()).error.code).toBe('model_not_allowed');
});

test('an application is moved from its rehearsal: its new group decides, and it comes back', async ({ page, world, javaScriptEnabled }) => {
  const to = fresh('Closed');
  const group = await world.owner.create('groups/create', { name: to, kind: 'function', parent: '' });
  const name = fresh('mover');
  const { id, secret } = await application(world, name, world.research);
  expect((await call(world, secret)).status).toBe(200);

  await visit(page, world.owner, `/applications/${id}`);
  await page.getByRole('link', { name: 'Move', exact: true }).click();
  const dialog = page.getByRole('dialog');
  if (javaScriptEnabled === false) {
    await dialog.getByLabel('Into which group').selectOption(group);
  } else {
    await dialog.getByRole('combobox', { name: 'Into which group' }).fill(to);
    await page.keyboard.press('Enter');
    await expect(dialog.getByRole('combobox', { name: 'Into which group' })).toHaveValue(new RegExp(to));
  }
  await dialog.getByRole('button', { name: 'See what changes' }).click();
  await expect(page.getByRole('heading', { name: /^Rehearsal/, level: 1 })).toBeVisible();
  await expect(page.getByText(/What it has spent so far stays with .*Research/)).toBeVisible();
  await expect(card(page, 'Who gains and loses models').getByRole('row').filter({ hasText: name })).toContainText('small-chat');
  expect((await call(world, secret)).status, 'nothing is changed by looking').toBe(200);
  await page.getByRole('button', { name: /^Save/ }).click();
  await said(page, 'It holds from the next call on');
  expect((await call(world, secret)).status).toBe(404);
  await page.goto(`${world.base}/applications/${id}`);
  await expect(page.getByRole('navigation').filter({ hasText: 'Applications' }).last()).toContainText(to);

  const back = await world.owner.post('applications/move', { id, version: '2', was: group, group: world.research });
  expect(back.undo).not.toBeNull();
  expect((await call(world, secret)).status).toBe(200);
});

test('one’s own secret is replaced with a gap for programs to change over, or at once', async ({ page, world }) => {
  const mia = await join(world, fresh('Mia'), 'member', world.research);
  await visit(page, mia.console, '/my-models');
  const mine = card(page, 'My secrets');
  await mine.getByRole('button', { name: 'Open it' }).click();
  const first = await shownSecret(mine);
  await expect(mine.getByRole('button', { name: 'Open it' }), 'it is opened once').toBeHidden();
  const address = `${world.base}/my-models`;
  const dialog = page.getByRole('dialog');

  await page.goto(address);
  await mine.getByRole('link', { name: 'Replace my secret' }).click();
  await expect(dialog.getByLabel(/that is there/), 'for a day, where nothing else is said').toHaveValue('24');
  await dialog.getByRole('button', { name: 'Replace it' }).click();
  const second = await shownSecret(dialog);
  await expect(dialog.getByRole('button', { name: 'Replace it' }), 'it is made once').toBeHidden();
  for (const secret of [first, second]) expect((await call(world, secret)).status).toBe(200);
  await dialog.getByRole('link', { name: 'Close' }).click();
  await expect(mine).toContainText(second.slice(-4));
  await expect(mine.locator('.row').filter({ has: page.getByText(/replaced, stops/) })).toContainText(first.slice(-4));

  await page.goto(address);
  await mine.getByRole('link', { name: 'Replace my secret' }).click();
  await dialog.getByLabel(/that is there/).selectOption('0');
  await dialog.getByRole('button', { name: 'Replace it' }).click();
  const third = await shownSecret(dialog);
  for (const secret of [first, second]) expect((await call(world, secret)).status).toBe(401);
  expect((await call(world, third)).status).toBe(200);
});

test('whoever only answers for an application sees its page, and no way to what they may not', async ({ page, world }) => {
  const { id } = await application(world, fresh('handed'), world.research);
  const [sam, lena] = [await join(world, fresh('Sam'), 'member'), await lead(world, fresh('Lena'))];
  const shown = await world.owner.page(`/applications/${id}?dialog=hand-over`);
  const was = /name="was" value="([^"]*)"/.exec(shown)![1];
  await world.owner.post('applications/hand-over', { id, was, user: sam.id });
  for (const who of [sam, lena]) {
    await visit(page, who.console, `/applications/${id}`);
    await expect(page.locator('main')).toContainText('Owner: Sam');
    const paths = await page.locator('main a[href^="/"]').evaluateAll((all) => all.map((link) => link.getAttribute('href')!));
    for (const path of new Set(paths)) {
      const answer = await page.request.get(world.base + path);
      expect(answer.status(), path).toBe(200);
    }
  }
  await visit(page, sam.console, `/applications/${id}`);
  await expect(page.locator('main'), 'no empty list of calls that are there').not.toContainText('No calls yet');
  await expect(page.locator('main')).toContainText('You answer for it');
  await page.goto(`${world.base}/notices`);
  await expect(page.locator('main')).toContainText('is yours to answer for now');
  expect((await page.goto(`${world.base}/applications/${id}`))!.status()).toBe(200);
});

test('members are not led to ask where they do not ask themselves', async ({ page, world }) => {
  const mia = await join(world, fresh('Mia'), 'member', world.research);
  await visit(page, mia.console, '/requests');
  await expect(page.getByRole('link', { name: 'Ask for a model' }).first()).toBeVisible();
  const version = async () => /name="version" value="(\d+)"/.exec(await world.owner.page('/settings'))![1];
  await world.owner.post('organizations/self-service', { version: await version(), applications: 'true' });
  await page.goto(`${world.base}/requests`);
  await expect(page.getByRole('link', { name: /^Ask for/ })).toHaveCount(0);
  await expect(page.locator('main')).toContainText('Members do not ask here themselves');
  await world.owner.post('organizations/self-service', { version: await version(), applications: 'true', requests: 'true' });
  await page.goto(`${world.base}/requests`);
  await expect(page.getByRole('link', { name: 'Ask for more money' }).first()).toBeVisible();
});
