import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';
import { application, byRequest, call, card, day, expect, fresh, join, lead, said, test, visit, type World } from './bursar';

test('whoever decides is told, whoever asked is answered, and what was read is read', async ({ page, world }) => {
  const { id, name } = await byRequest(world, 'noted', '1');
  const [sam, lena] = [await join(world, fresh('Sam'), 'member', world.research), await lead(world, fresh('Lena'))];
  await visit(page, sam.console, '/notices');
  await expect(page.getByText('Nothing unread')).toBeVisible();
  const fields = { model: id, whom: `me:${world.research}`, reason: 'To <b>compare</b>', amount: '5', per: 'month', ends_on: day(10) };
  const request = await sam.console.create('requests/create', fields);

  await visit(page, lena.console, '/notices');
  const line = page.getByRole('listitem').filter({ hasText: `asks for ${name}` });
  await expect(line).toContainText('To <b>compare</b>');
  await expect(page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: /Notices/ })).toContainText('1 unread');
  await line.getByRole('link', { name: new RegExp(`asks for ${name}`) }).click();
  await expect(page).toHaveURL(new RegExp(`/requests/${request}$`));
  await card(page, 'Approve').getByRole('button', { name: 'Approve' }).click();
  await expect(card(page, 'The grant')).toContainText('$5.00');
  // What is decided waits for nobody any more.
  await page.goto(`${world.base}/notices`);
  await expect(page.getByText(`asks for ${name}`)).toHaveCount(0);

  await visit(page, sam.console, '/notices');
  await expect(page.getByText(`${name} is yours to call`)).toBeVisible();
  await page.getByRole('button', { name: /^Mark as read: / }).first().click();
  await said(page, 'Marked as read.');
  await expect(page.getByText('Nothing unread')).toBeVisible();
  await page.getByRole('link', { name: 'Show all' }).click();
  await expect(page.getByText(`${name} is yours to call`)).toBeVisible();

  // Which kinds come by mail is kept.
  await page.goto(`${world.base}/account`);
  await expect(page.getByText('Mail is not set up on this server')).toBeVisible();
  const mail = card(page, 'Notices by mail');
  await mail.getByRole('checkbox', { name: 'Budgets that nobody uses' }).uncheck();
  await mail.getByRole('button', { name: 'Save' }).click();
  await said(page, 'Saved.');
  await page.goto(`${world.base}/account`);
  await expect(page.getByRole('checkbox', { name: 'Budgets that nobody uses' })).not.toBeChecked();
  await expect(page.getByRole('checkbox', { name: 'Answers to my requests' })).toBeChecked();
});

test('a large sum needs two who agree, and the inbox says how far it is', async ({ page, world }) => {
  test.slow();
  const { id, name } = await byRequest(world, 'noted', '1');
  const [sam, lena] = [await join(world, fresh('Sam'), 'member', world.research), await lead(world, fresh('Lena'))];
  await visit(page, world.owner, '/settings');
  const rule = card(page, 'Requests for large sums');
  await rule.getByLabel('Above, in US dollars').fill('10000');
  await rule.getByLabel('Have to agree').selectOption('2');
  await rule.getByRole('button', { name: 'Save' }).click();
  await said(page, 'Saved. Above $10,000.00, 2 have to agree.');
  const fields = { model: id, whom: `me:${world.research}`, reason: 'Everything', amount: '6000', per: 'month', ends_on: day(45) };
  const request = await sam.console.create('requests/create', fields);

  await visit(page, lena.console, `/requests/${request}`);
  await card(page, 'Approve').getByRole('button', { name: 'Approve' }).click();
  await said(page, 'You agree. One more has to');
  await expect(card(page, 'Who agrees')).toContainText('1 of 2 agree');
  await page.goto(`${world.base}/requests?state=waiting&model=${name}`);
  const row = page.getByRole('row').filter({ hasText: name });
  await expect(row).toContainText('1 of 2 agree, you too');
  await expect(page.getByRole('checkbox', { name: `Choose ${name}` })).toHaveCount(0);

  await visit(page, world.owner, `/requests/${request}`);
  await expect(card(page, 'Who agrees')).toContainText('$6,000.00 a month');
  await card(page, 'Approve').getByRole('button', { name: 'Approve' }).click();
  await expect(card(page, 'The grant')).toContainText('$6,000.00');
});

test('what a webhook gets is signed so that the library of the specification takes it, and nothing else', async ({ page, world }) => {
  const received: { headers: Record<string, string>; body: string }[] = [];
  const program = createServer((request, response) => {
    let body = '';
    request.on('data', (piece) => (body += piece)).on('end', () => {
      // Limits of this organization that others cross meanwhile are told to this webhook, too.
      if (JSON.parse(body).type === 'test') received.push({ headers: request.headers as Record<string, string>, body });
      response.writeHead(202).end('thank you');
    });
  });
  await new Promise<void>((ready) => program.listen(0, '127.0.0.1', ready));
  const url = `http://127.0.0.1:${(program.address() as AddressInfo).port}/${fresh('hook').replace(' ', '-')}`;
  const done = await world.owner.post('webhooks/create', { url, 'kinds[0]': 'limit', allow_private_address: 'true' });
  const secret = done.once.Secret.secret;
  await visit(page, world.owner, '/alerts/settings');
  await page.getByRole('link', { name: url }).click();
  await page.getByRole('button', { name: 'Send a test' }).click();
  await said(page, 'Delivered. It answered with status 202.');
  const { headers, body } = received[0];
  expect(new Webhook(secret).verify(body, headers)).toMatchObject({ type: 'test' });
  expect(() => new Webhook(secret).verify(`${body} `, headers)).toThrow();
  expect(() => new Webhook(`whsec_${btoa('another secret')}`).verify(body, headers)).toThrow();
  // The same message once more.
  await card(page, 'Deliveries').getByRole('button', { name: /Send again: test/ }).click();
  await said(page, 'Delivered.');
  await expect(card(page, 'Deliveries')).toContainText('played again');
  expect(received[1].headers['webhook-id']).toBe(headers['webhook-id']);
  new Webhook(secret).verify(received[1].body, received[1].headers);
  program.close();
});

test('a threshold that is crossed stands among the alerts, and a webhook is added, tried, and removed', async ({ page, world }) => {
  test.slow();
  const name = fresh('watched').replace(' ', '-');
  const app = await application(world, name, world.research);
  await world.owner.post('limits/set', { scope: `application:${app.id}`, metric: 'requests', window: 'day', cap: '2', mode: 'enforce', thresholds: '50' });
  expect((await call(world, app.secret)).status).toBe(200);
  await visit(page, world.owner, '/alerts?kind=limit');
  const row = page.getByRole('row').filter({ hasText: `${name} has used 50 % of 2 requests a day` });
  await expect(async () => {
    await page.goto(`${world.base}/alerts?kind=limit`);
    await expect(row).toContainText('50 % of 2 requests a day', { timeout: 500 });
  }).toPass();

  await page.goto(`${world.base}/alerts`);
  await page.getByRole('link', { name: 'How to be told' }).click();
  const watching = card(page, 'What is watched for');
  await watching.getByLabel('Quiet from').fill('25:00');
  await watching.getByRole('button', { name: 'Save' }).click();
  await expect(watching.getByText('Enter a time like 22:00.')).toBeVisible();
  await expect(watching.getByLabel('Quiet from')).toHaveValue('25:00');

  await page.getByRole('link', { name: 'New webhook' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Address').fill('https://127.0.0.1/hook');
  await dialog.getByRole('button', { name: 'Add the webhook' }).click();
  await expect(dialog.getByText('This is a private address.')).toBeVisible();
  // What only shows when it is looked up.
  const path = fresh('hook').replace(' ', '-');
  await dialog.getByLabel('Address').fill(`https://2130706433/${path}`);
  await dialog.getByRole('button', { name: 'Add the webhook' }).click();
  await expect(page.getByText(/^whsec_/)).toBeVisible();
  await page.goto(`${world.base}/alerts/settings`);
  await expect(page.getByText(/whsec_/)).toHaveCount(0);
  await page.getByRole('link', { name: new RegExp(path) }).click();
  await page.getByRole('button', { name: 'Send a test' }).click();
  await said(page, 'Not delivered.');
  await expect(card(page, 'Deliveries')).toContainText('It cannot be reached');
  await page.getByRole('link', { name: 'Remove' }).click();
  await dialog.getByLabel(/^Type .* to confirm$/).fill(`https://2130706433/${path}`);
  await dialog.getByRole('button', { name: 'Remove it' }).click();
  await said(page, 'The webhook was removed.');
  await expect(page.getByRole('link', { name: new RegExp(path) })).toHaveCount(0);
});
