import { application, call, card, expect, fresh, lead, test, visit } from './bursar';

test('every level has the same spend page, and each number leads to its calls', async ({ page, world }) => {
  const name = fresh('Bookshop');
  const group = await world.owner.create('groups/create', { name, kind: 'project', parent: world.engineering });
  const bot = fresh('till');
  const app = await application(world, bot, group);
  for (let n = 0; n < 3; n++) expect((await call(world, app.secret)).status).toBe(200);
  await expect(async () => expect(await world.owner.page(`/spend/${group}`)).toContain('$0.0009')).toPass({ timeout: 15_000 });

  await visit(page, world.owner, `/spend/${group}`);
  await expect(page.locator('main')).toContainText('Every cent counts once');
  await expect(page.locator('main'), 'the month before was not counted').toContainText('there is nothing to compare with yet');
  await page.getByRole('link', { name: 'By members' }).click();
  await expect(page.locator('main')).toContainText('overlap');
  await page.getByRole('link', { name: 'Attributed' }).click();
  await expect(page.locator('main')).toContainText('Every cent counts once');
  await card(page, 'What it is made of').getByRole('link', { name: 'Models', exact: true }).click();
  await expect(card(page, 'What it is made of').getByRole('row').filter({ hasText: 'small-chat' })).toContainText('$0.0009');
  await page.getByRole('link', { name: '12 months' }).click();
  await expect(page.getByRole('heading', { name: 'Spend by month' })).toBeVisible();

  for (const of of [app.id, world.model]) {
    await page.goto(`${world.base}/spend/${of}?range=days`);
    await expect(page.getByRole('heading', { name: 'Spend by day' })).toBeVisible();
    await expect(page.getByRole('heading', { name: 'The last 90 days' })).toBeVisible();
  }
  await page.goto(`${world.base}/spend/${app.id}`);
  await card(page, 'What it is made of').getByRole('row').filter({ hasText: 'small-chat' }).getByRole('link').filter({ hasText: '$' }).click();
  await expect(page).toHaveURL(/\/calls\?application=.*model=/);
  await expect(page.getByRole('row').filter({ hasText: bot })).toHaveCount(3);
});

test('the explorer’s chart, table and file say the same, and all of it is in the address', async ({ page, world }) => {
  const group = await world.owner.create('groups/create', { name: fresh('Market'), kind: 'project', parent: world.engineering });
  const stalls = ['=stall', 'fruit'].map((stem) => fresh(stem));
  for (const [place, stall] of stalls.entries()) {
    const { secret } = await application(world, stall, group);
    for (let n = 0; n <= place; n++) expect((await call(world, secret)).status).toBe(200);
  }
  await expect(async () => expect(await world.owner.page(`/spend/${group}`)).toContain('$0.0009')).toPass({ timeout: 15_000 });

  await visit(page, world.owner, `/explore?group=${group}`);
  const amounts = (name: string, where: string) =>
    page.locator(where).evaluateAll((all, name) => all.map((one) => Math.round(Number(one.getAttribute(name)) * 1e9)), name);
  const sum = (all: number[]) => all.reduce((left, right) => left + right, 0);
  expect(sum(await amounts('data-amount', 'svg.large [data-amount]'))).toBe(900_000);
  expect(await amounts('value', 'table.wide-table tbody td:nth-child(2) data')).toEqual([600_000, 300_000]);
  const [, ...lines] = (await world.owner.page(`/explore.csv?group=${group}`)).trim().split('\r\n');
  expect(sum(lines.map((line) => Math.round(Number(line.split(',')[4]) * 1e9)))).toBe(900_000);
  expect(lines.filter((line) => line.includes("'=stall")), 'no formula for a spreadsheet').toHaveLength(1);

  await page.getByRole('combobox', { name: 'Count', exact: true }).selectOption('tokens');
  await page.getByLabel('Split by').selectOption('model');
  await page.getByLabel('In steps of a').selectOption('month');
  await page.getByRole('button', { name: 'Show' }).click();
  await expect(page).toHaveURL(/measure=tokens/);
  await expect(page.getByRole('heading', { name: 'Tokens, all by month' })).toBeVisible();
  await expect(page.locator('table.wide-table tbody')).toContainText('4,500');
  await page.reload();
  await expect(page.locator('table.wide-table tbody')).toContainText('4,500');
  await page.locator('table.wide-table tbody td').first().getByRole('link').click();
  await expect(page).toHaveURL(/\/calls\?/);
  await expect(page.getByRole('row').filter({ hasText: 'small-chat' })).toHaveCount(3);
});

test('whoever leads one group is taken to it, looks into what drives it, and is told what is not theirs', async ({ page, world }) => {
  const name = fresh('Tills');
  const group = await world.owner.create('groups/create', { name, kind: 'project', parent: world.research });
  const { secret } = await application(world, fresh('till'), group);
  expect((await call(world, secret)).status).toBe(200);
  const { console } = await lead(world, fresh('Lin'), group);
  await expect(async () => expect(await console.page(`/spend/${group}`)).toContain('small-chat')).toPass({ timeout: 15_000 });

  await visit(page, console, '/');
  const short = card(page, name);
  await expect(short).toContainText('Are we fine?');
  await short.getByRole('link', { name: 'What it spends' }).click();
  await expect(page).toHaveURL(new RegExp(`/spend/${group}$`));
  await visit(page, console, '/spend');
  await expect(page.getByRole('heading', { level: 1 })).toContainText(name);
  await page.getByRole('region', { name: 'In short' }).getByRole('link', { name: 'small-chat' }).click();
  await expect(page.getByRole('heading', { level: 1 })).toContainText('Explore');
  await expect(page).toHaveURL(/model=mdl_/);
  await expect(page.locator('main')).not.toContainText('Nothing in these days');

  for (const path of [`/explore?group=${world.engineering}`, `/calls?group=${world.engineering}`]) {
    await visit(page, console, path);
    await expect(page.locator('main'), path).toContainText('Not for your role');
  }
});

test('a word of the address that says nothing is told of, and the page is there', async ({ page, world }) => {
  await visit(page, world.owner, '/spend?by=zzz&view=bogus');
  await expect(page.locator('main')).toContainText('There is nothing called “zzz” to choose: this is by');
  await expect(page.locator('main')).toContainText('There is nothing called “bogus” to choose: this is attributed spend.');
  await visit(page, world.owner, '/explore?feature=bogus&by=zzz');
  await expect(page.locator('main')).toContainText('There is nothing called “bogus” to choose: this is whatever was used.');
  await expect(page.locator('main')).toContainText('There is nothing called “zzz” to choose: this is by application.');
  await visit(page, world.owner, '/calls?feature=bogus');
  await expect(page.locator('main')).toContainText('There is nothing called “bogus” to choose');
});
