import { byRequest, call, card, day, expect, fresh, join, said, test, visit } from './bursar';

test('a finished call comes to every open page that shows it, without a reload', async ({ page, world }) => {
  const name = fresh('Harbour');
  const group = await world.owner.create('groups/create', { name, kind: 'project', parent: world.engineering });
  const person = await join(world, fresh('Pia'), 'member', group);
  const { secret } = (await person.console.post('keys/open-personal', { group })).once.Secret;
  await world.owner.post('limits/set', { scope: `group:${group}`, metric: 'spend', window: 'month', cap: '1.00', mode: 'enforce', thresholds: '' });
  expect((await call(world, secret)).status).toBe(200);
  await expect(async () => expect(await world.owner.page(`/spend/${group}`)).toContain('$0.0003')).toPass({ timeout: 15_000 });
  const app = (await world.owner.page(`/spend/${group}`)).match(/app_[a-z0-9]{26}/)![0];

  const places = [
    { as: world.owner, path: '/' }, { as: world.owner, path: `/groups/${group}` }, { as: world.owner, path: `/users/${person.id}` },
    { as: world.owner, path: `/applications/${app}` }, { as: person.console, path: '/my-models' }, { as: world.owner, path: '/reports' },
  ];
  for (const { as, path } of places) {
    await test.step(path, async () => {
      const listening = page.waitForResponse((response) => response.url().includes('/live?since='));
      await visit(page, as, path);
      await listening;
      await page.evaluate(() => ((window as unknown as { same: boolean }).same = true));
      // Figures only: how long ago something was changes by itself.
      const figures = async () => [
        ...((await page.locator('main').innerText()).match(/\$[\d.,]+|[\d,]+ %|[\d,]+ calls?/g) ?? []),
        ...(await page.locator('main .num:not(time)').allInnerTexts()),
      ].join(' ');
      const before = await figures();
      await page.locator('#main').evaluate((main) => main.setAttribute('data-old', ''));
      expect((await call(world, secret)).status).toBe(200);
      await expect(page.locator('#main:not([data-old])'), 'it is drawn anew').toBeVisible();
      // What one call costs is not seen in what a whole organization has spent; that it is one more is.
      await expect(async () => expect(await figures()).not.toBe(before)).toPass({ timeout: 15_000 });
      expect(await page.evaluate(() => (window as unknown as { same: boolean }).same), 'it is still the same page').toBe(true);
    });
  }
});

test('whoever is on the way to another page arrives, however much is booked meanwhile', async ({ page, world }) => {
  const person = await join(world, fresh('Pia'), 'member', world.research);
  const { secret } = (await person.console.post('keys/open-personal', { group: world.research })).once.Secret;
  const listening = page.waitForResponse((response) => response.url().includes('/live?since='));
  await visit(page, world.owner, '/groups');
  await listening;
  // The page is held back until a call that comes meanwhile has been told, and looked at by whoever looks.
  await page.route(`**/groups/${world.engineering}`, async (route) => {
    await call(world, secret);
    await page.waitForTimeout(2_500);
    await route.continue();
  }, { times: 1 });
  await page.getByRole('link', { name: 'Engineering', exact: true }).first().click();
  await expect(page.getByRole('heading', { level: 1 })).toContainText('Engineering');
  await expect(page).toHaveURL(new RegExp(world.engineering));
});

test('what somebody has put into a form is what is sent, however much is booked before they send it', async ({ page, world }) => {
  const { name, id } = await byRequest(world, 'typed', '1');
  const person = await join(world, fresh('Pia'), 'member', world.research);
  const { secret } = (await person.console.post('keys/open-personal', { group: world.research })).once.Secret;
  const fields = { model: id, whom: `me:${world.research}`, reason: 'To compare', amount: '35', per: 'total', ends_on: day(10) };
  const request = await person.console.create('requests/create', fields);
  const listening = page.waitForResponse((response) => response.url().includes('/live?since='));
  await visit(page, world.owner, `/requests/${request}`);
  await listening;
  const form = card(page, 'Approve');
  await form.getByLabel('At most, in total').fill('5');
  await form.getByRole('button', { name: 'Approve' }).focus();
  const told = page.evaluate(() => new Promise<void>((done) => new EventSource('/live').addEventListener('ledger', () => done(), { once: true })));
  expect((await call(world, secret)).status).toBe(200);
  // Longer than a page waits before it looks again.
  await Promise.race([told, page.waitForTimeout(10_000)]);
  await page.waitForTimeout(1_500);
  await expect(form.getByLabel('At most, in total')).toHaveValue('5');
  await page.keyboard.press('Enter');
  await said(page, 'Approved.');
  await expect(card(page, 'The grant')).toContainText('$5.00 in total');
});

test('a row that is reached by keyboard is still in focus when the page is drawn anew', async ({ page, world }) => {
  const person = await join(world, fresh('Pia'), 'member', world.research);
  const { secret } = (await person.console.post('keys/open-personal', { group: world.research })).once.Secret;
  const listening = page.waitForResponse((response) => response.url().includes('/live?since='));
  await visit(page, world.owner, '/groups');
  await listening;
  const row = page.locator(`tr[data-row="${world.engineering}"]`);
  await row.focus();
  await page.locator('#main').evaluate((main) => main.setAttribute('data-old', ''));
  expect((await call(world, secret)).status).toBe(200);
  await expect(page.locator('#main:not([data-old])')).toBeVisible();
  await expect(row).toBeFocused();
});
