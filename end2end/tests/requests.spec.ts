import { byRequest, call, card, day, expect, fresh, join, lead, refused, said, test, visit, type Page, type World } from './bursar';

async function fill(page: Page, reason: string, amount: string, until: string): Promise<void> {
  // A form that is being sent takes no second click.
  await expect(page.getByRole('button', { name: 'Ask', exact: true })).not.toHaveAttribute('aria-busy', 'true');
  await page.getByLabel('Why', { exact: true }).fill(reason);
  await page.getByLabel('Money, in US dollars').fill(amount);
  await page.getByLabel('Counted').selectOption('total');
  await page.getByLabel('Last day').fill(until);
  await page.getByRole('button', { name: 'Ask', exact: true }).click();
}

test('a refused call leads to a request, and what the lead agrees to lets the next call pass, until its money is out', async ({ page, world }) => {
  test.slow();
  const { name } = await byRequest(world, 'asked', '1000');
  const [sam, lena] = [await join(world, fresh('Sam'), 'member', world.research), await lead(world, fresh('Lena'))];
  const secret = (await sam.console.post('keys/open-personal', { group: world.research })).once.Secret.secret;
  const stopped = await call(world, secret, name);
  expect(stopped.status).toBe(403);
  const { error } = await stopped.json();
  expect(error.code).toBe('model_requires_approval');

  // The link of the refusal is the form, for this model and this group.
  await visit(page, sam.console, new URL(error.bursar.request_url).pathname + new URL(error.bursar.request_url).search);
  await expect(page.getByLabel('Model')).toHaveValue(name);
  await expect(page.getByLabel('For', { exact: true })).toHaveValue(`me:${world.research}`);
  await fill(page, '', '5', day(10));
  await refused(page.getByLabel('Why', { exact: true }), '', 'Say it in a few words.');
  for (const [amount, until] of [['much', day(10)], ['5', day(-3)], ['5', day(500)]]) {
    await fill(page, 'To compare <b>answers</b>', amount, until);
    await expect(page.locator('[aria-invalid="true"]')).toHaveCount(1);
  }
  await fill(page, 'To compare <b>answers</b>', '5', day(10));
  await said(page, 'Asked.');
  await expect(page.getByRole('heading', { name: `${name} for ` })).toBeVisible();
  await expect(page.getByRole('button', { name: 'Approve' })).toHaveCount(0);
  const request = page.url();

  // It waits for the lead, who gives less.
  await visit(page, lena.console, '/requests');
  const waits = page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: /Requests/ });
  await expect(waits).toContainText(/[1-9]\d* waiting for you/);
  await page.getByRole('link', { name, exact: true }).click();
  await expect(page.getByText('To compare <b>answers</b>')).toBeVisible();
  const approve = card(page, 'Approve');
  await approve.getByLabel('At most, in total').fill('6');
  await approve.getByRole('button', { name: 'Approve' }).click();
  await refused(approve.getByLabel('At most, in total'), '6', /Agree to that or to less/);
  // A call costs a dollar and a half: two fit.
  await approve.getByLabel('At most, in total').fill('3');
  await approve.getByRole('button', { name: 'Approve' }).dblclick();
  await expect(card(page, 'The grant')).toContainText('$3.00 in total');

  // The very next call passes; then the grant's own money is out.
  expect((await call(world, secret, name)).status).toBe(200);
  let last = await call(world, secret, name);
  for (let tries = 0; tries < 5 && last.status === 200; tries++) last = await call(world, secret, name);
  expect(last.status).toBe(402);
  expect((await last.json()).error.bursar).toMatchObject({ scope: 'grant', metric: 'spend', window: 'total', cap: '3.00' });

  // The requester sees it; the lead ends it; the next call needs a new request.
  await visit(page, sam.console, '/my-models');
  await expect(card(page, 'Requests and grants')).toContainText('of $3.00 in total used');
  await visit(page, lena.console, new URL(request).pathname);
  await page.getByRole('link', { name: 'End it now' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'End it' }).click();
  await said(page, 'Ended.');
  const closed = await call(world, secret, name);
  expect(closed.status).toBe(403);
  expect((await closed.json()).error.code).toBe('model_requires_approval');
});

test('several are decided at once, each for itself, and a refusal says why', async ({ page, world }) => {
  test.slow();
  const { id, name } = await byRequest(world, 'asked', '1000');
  const lena = await lead(world, fresh('Lena'));
  const people = [await join(world, fresh('Ida'), 'member', world.research), await join(world, fresh('Jo'), 'member', world.research), await join(world, fresh('Kim'), 'member', world.research)];
  const fields = { model: id, whom: `me:${world.research}`, reason: 'To try it', amount: '5', per: 'month', ends_on: day(10) };
  const requests = [];
  for (const person of people) requests.push(await person.console.create('requests/create', fields));
  // Her own is there too, and not hers to decide.
  const own = await lena.console.create('requests/create', { ...fields, whom: `group:${world.research}` });

  await visit(page, lena.console, `/requests?model=${name}`);
  await expect(page.getByRole('checkbox', { name: `Choose ${name}` })).toHaveCount(3);
  const bar = page.getByRole('group', { name: 'Those that are ticked' });
  await expect(bar).toBeHidden();
  for (const box of await page.getByRole('checkbox', { name: `Choose ${name}` }).all()) await box.check();
  await bar.getByRole('button', { name: 'Refuse' }).click();
  await expect(bar.getByText('Say it in a few words.')).toBeVisible();
  // Meanwhile one takes theirs back.
  await people[2].console.post('requests/withdraw', { id: requests[2] });
  await bar.getByLabel('What you say to those who asked').fill('Use small-chat.');
  await bar.getByRole('button', { name: 'Refuse' }).click();
  await said(page, /Refused: 2 of 3\..*has taken this back/);

  await visit(page, people[0].console, `/requests/${requests[0]}`);
  await expect(page.getByText('Use small-chat.')).toBeVisible();
  await visit(page, lena.console, `/requests/${own}`);
  await expect(page.getByText('not you yourself')).toBeVisible();
  await expect(page.getByRole('button', { name: 'Approve' })).toHaveCount(0);

  // The second decider sees what the first did.
  await world.owner.post('requests/approve', { id: own, amount: '1', ends_on: day(2) });
  await expect(world.owner.post('requests/refuse', { id: own, answer: 'late' })).rejects.toThrow(/You have approved this already/);
});

test('who decides second is told that somebody was first', async ({ page, world }) => {
  const { id } = await byRequest(world, 'asked', '1000');
  const [sam, ada] = [await join(world, fresh('Sam'), 'member', world.research), await join(world, fresh('Ada'), 'admin')];
  const fields = { model: id, whom: `me:${world.research}`, reason: 'A trial', amount: '5', per: 'month', ends_on: day(10) };
  const request = await sam.console.create('requests/create', fields);
  await visit(page, ada.console, `/requests/${request}`);
  const approve = card(page, 'Approve');
  await approve.getByLabel('At most, each month').fill('4');
  await world.owner.post('requests/approve', { id: request, amount: '3', ends_on: day(2) });
  await approve.getByRole('button', { name: 'Approve' }).click();
  await said(page, 'has approved this already. Nothing was changed.');
  await expect(card(page, 'The grant')).toContainText('$3.00 a month');
});

test('who may not decide reads, and who is not concerned does not', async ({ page, world }) => {
  const { id, name } = await byRequest(world, 'asked', '1000');
  const [sam, eve] = [await join(world, fresh('Sam'), 'member', world.research), await join(world, fresh('Eve'), 'member', world.research)];
  const auditor = await join(world, fresh('Aude'), 'auditor');
  const fields = { model: id, whom: `me:${world.research}`, reason: 'A private matter', amount: '5', per: 'month', ends_on: day(10) };
  const request = await sam.console.create('requests/create', fields);

  await visit(page, auditor.console, `/requests?state=waiting&model=${name}`);
  await expect(page.getByText('A private matter')).toBeVisible();
  await expect(page.getByRole('checkbox', { name: /Choose/ })).toHaveCount(0);
  await page.getByRole('link', { name, exact: true }).click();
  await expect(page.getByText('Nobody has answered yet')).toBeVisible();
  await expect(page.getByRole('button', { name: /Approve|Refuse|Take it back/ })).toHaveCount(0);
  await expect(auditor.console.post('requests/refuse', { id: request, answer: 'no' })).rejects.toThrow(/403/);

  await visit(page, eve.console, '/requests?state=all');
  await expect(page.getByText('A private matter')).toHaveCount(0);
  expect((await page.goto(`${world.base}/requests/${request}`))!.status()).toBe(403);

  await visit(page, sam.console, '/my-models');
  await expect(page.getByRole('row').filter({ hasText: name })).toContainText('You have asked');
  await page.goto(`${world.base}/requests/${request}`);
  await page.getByRole('button', { name: 'Take it back' }).click();
  await said(page, 'Taken back.');
  // What is open or not there is not asked for.
  await page.goto(`${world.base}/requests/new?model=small-chat`);
  await expect(page.getByText('small-chat is open to you')).toBeVisible();
  await page.goto(`${world.base}/requests/new?model=no-such-model`);
  await expect(page.getByText('None of your groups can ask for no-such-model')).toBeVisible();
});

test('a call that money stops leads to a request for more, which raises the limit until a last day', async ({ page, world }) => {
  test.slow();
  const [sam, lena] = [await join(world, fresh('Sam'), 'member', world.research), await lead(world, fresh('Lena'))];
  const secret = (await sam.console.post('keys/open-personal', { group: world.research })).once.Secret.secret;
  await world.owner.post('limits/set', { scope: `user:${sam.id}`, metric: 'spend', window: 'month', cap: '0.000001' });
  expect((await call(world, secret)).status).toBe(402);
  const { error } = await (await call(world, secret)).json();
  const url = new URL(error.bursar.request_url);
  const ask = url.pathname + url.search;

  await visit(page, sam.console, '/my-models');
  await card(page, 'My headroom').getByRole('listitem').filter({ hasText: '$0.000001 a month' }).getByRole('link', { name: 'Ask for more' }).click();
  await expect(page.getByRole('heading', { name: 'Ask for more money' })).toBeVisible();
  await visit(page, sam.console, ask);
  await expect(page.getByText('Instead of $0.000001 a month.')).toBeVisible();
  const [cap, why] = [page.getByLabel('New limit, in US dollars a month'), page.getByLabel('Why', { exact: true })];
  const send = page.getByRole('button', { name: 'Ask', exact: true });
  await cap.fill('0.000001');
  await why.fill('Twice the tickets');
  await send.click();
  await refused(cap, '0.000001', /It is \$0\.000001 a month now/);
  await cap.fill('5');
  await send.click();
  await said(page, 'Asked.');
  const request = new URL(page.url()).pathname;
  await page.goto(world.base + ask);
  await expect(page.getByText('You have asked already')).toBeVisible();

  // The lead of the group that pays reads it; only those who raise limits decide.
  await visit(page, lena.console, request);
  await expect(page.getByText('only they raise limits')).toBeVisible();
  await expect(page.getByRole('button', { name: /Approve|Refuse/ })).toHaveCount(0);
  await visit(page, world.owner, '/requests?state=waiting');
  await page.getByRole('row').filter({ hasText: 'Twice the tickets' }).getByRole('link').click();
  const approve = card(page, 'Approve');
  await approve.getByLabel('The limit, a month').fill('6');
  await approve.getByRole('button', { name: 'Approve' }).click();
  await refused(approve.getByLabel('The limit, a month'), '6', /Agree to that or to less/);
  await approve.getByLabel('The limit, a month').fill('4');
  await approve.getByRole('button', { name: 'Approve' }).dblclick();
  await expect(card(page, 'The raised limit')).toContainText('$4.00 a month');
  await expect(card(page, 'The raised limit')).toContainText('Then it is $0.000001 a month again.');
  expect((await call(world, secret)).status).toBe(200);

  await page.getByRole('link', { name: 'End it now' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'End it' }).click();
  await said(page, 'Ended.');
  expect((await call(world, secret)).status).toBe(402);
  // Nobody asks about what is none of theirs, nor about nothing.
  const eve = await join(world, fresh('Eve'), 'member', world.research);
  await visit(page, eve.console, ask);
  await expect(page.getByText('applies to no call of yours')).toBeVisible();
});
