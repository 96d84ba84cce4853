import { alive, expect, fresh, join, said, test, visit } from './bursar';

/** Several people with one word in their names, and their ids. */
async function people(world: any, word: string, count: number): Promise<string[]> {
  const ids = [];
  for (const letter of 'ABCDEFGH'.slice(0, count)) {
    const name = `${letter} ${word}`;
    const email = `${letter}.${word.replaceAll(/[^a-z0-9]+/gi, '.')}@acme.example`;
    const done = await world.owner.post('users/create', { name, email, role: 'member' });
    ids.push(done.once.Link.url.split('/').at(-2));
  }
  return ids;
}

test('the list is put in order by its heads, both ways, and the address says so', async ({ page, world }) => {
  const word = fresh('Sorted');
  const [a, b, c] = await people(world, word, 3);
  for (const [id, cap] of [[a, '30'], [b, '10'], [c, '20']]) await world.owner.post('users/limit', { id, was: '', cap });
  await visit(page, world.owner, `/users?q=${encodeURIComponent(word)}`);
  const names = () => page.locator('tbody tr td b').allTextContents();
  const head = page.getByRole('columnheader', { name: 'Limit' });
  await expect(page.getByRole('columnheader', { name: 'Name' })).toHaveAttribute('aria-sort', 'ascending');
  await head.getByRole('link').click();
  await expect(head).toHaveAttribute('aria-sort', 'ascending');
  await expect.poll(names).toEqual([`B ${word}`, `C ${word}`, `A ${word}`]);
  await head.getByRole('link').click();
  await expect(head).toHaveAttribute('aria-sort', 'descending');
  await expect.poll(names).toEqual([`A ${word}`, `C ${word}`, `B ${word}`]);
  await visit(page, world.owner, new URL(page.url()).pathname + new URL(page.url()).search);
  expect(await names(), 'a link that was sent shows the same').toEqual([`A ${word}`, `C ${word}`, `B ${word}`]);
});

test('filters are in the address and shown as chips', async ({ page, world }) => {
  const word = fresh('Filtered');
  const [a] = await people(world, word, 2);
  await world.owner.post('groups/add-member', { group: world.research, user: a });
  await visit(page, world.owner, `/users?q=${encodeURIComponent(word)}`);
  await expect(page.getByText(/^2 of /)).toBeVisible();
  await page.getByRole('link', { name: 'Group', exact: true }).click();
  await page.getByRole('dialog').getByLabel('Group').selectOption({ label: 'Engineering' });
  await page.getByRole('dialog').getByRole('button', { name: 'Show them' }).click();
  await expect(page.getByRole('link', { name: 'Group Engineering and below' })).toBeVisible();
  await expect(page.getByRole('row', { name: `A ${word}` })).toContainText('Engineering · inherited');
  await expect(page.getByRole('row', { name: `B ${word}` })).toHaveCount(0);
  await page.getByRole('button', { name: /^Status/ }).click();
  await page.getByRole('link', { name: 'Suspended' }).click();
  await expect(page).toHaveURL(/status=suspended/);
  await expect(page.getByText('Nobody matches')).toBeVisible();
  await page.getByRole('link', { name: 'Show everybody' }).first().click();
  await expect(page).toHaveURL(/\/users$/);
});

test('a limit is set where it stands, refused beside its field, and given back', async ({ page, world }) => {
  const word = fresh('Limited');
  await people(world, word, 1);
  await visit(page, world.owner, `/users?q=${encodeURIComponent(word)}`);
  const row = page.getByRole('row', { name: `A ${word}` });
  await row.getByRole('link', { name: /set the limit of/ }).click();
  const cap = row.getByRole('textbox', { name: /Monthly limit of/ });
  await cap.fill('twelve');
  await row.getByRole('button', { name: 'Save' }).click();
  await expect(cap).toHaveAttribute('aria-invalid', 'true');
  await expect(cap).toHaveValue('twelve');
  await cap.fill('12.50');
  await row.getByRole('button', { name: 'Save' }).click();
  await said(page, 'Limit set: $12.50 a month.');
  await row.getByRole('link', { name: /\$12\.50.*set the limit of/ }).click();
  await cap.fill('');
  await row.getByRole('button', { name: 'Save' }).click();
  await said(page, "The organization's default applies again.");
  await expect(row).toContainText('$50.00');
});

test('many people are chosen, looked at, put into a group, and taken out again by undoing it', async ({ page, world }) => {
  const word = fresh('Many');
  const [a] = await people(world, word, 3);
  await world.owner.post('groups/add-member', { group: world.research, user: a });
  await visit(page, world.owner, `/users?q=${encodeURIComponent(word)}`);
  const join = page.getByRole('button', { name: 'Add to a group…' });
  await expect(join, 'nothing can be done with nobody').toBeHidden();
  for (const letter of ['A', 'B', 'C']) await page.getByRole('checkbox', { name: `Select ${letter} ${word}` }).check();
  await join.click();
  await expect(page.getByRole('heading', { name: /Add to a group/, level: 1 })).toContainText('3 people');
  await page.getByLabel('Group').selectOption({ label: 'Engineering/Research' });
  await page.getByRole('button', { name: 'Show what would happen' }).click();
  await expect(page.getByText(/2 people join Research\. It has \d+ models? open: 2 people gain/)).toBeVisible();
  await expect(page.getByRole('row', { name: `A ${word}` })).toContainText('Is in Research already');
  await page.getByRole('button', { name: 'Confirm for 2 people' }).click();
  await said(page, '2 people changed.');
  await page.getByRole('link', { name: 'In the audit log' }).click();
  await expect(page.getByRole('row', { name: /Membership started/ })).toHaveCount(2);
  await page.goBack();
  await page.getByRole('button', { name: 'Undo' }).click();
  await said(page, 'Undone for 2 people.');
  await expect(page.getByText('undone again')).toBeVisible();
  await page.goto(`${world.base}/users?q=${encodeURIComponent(word)}`);
  await expect(page.getByRole('row', { name: `A ${word}` })).toContainText('Research');
  await expect(page.getByRole('row', { name: `B ${word}` })).not.toContainText('Research');
});

test('the last owner is named as one who cannot be suspended, and nobody else is kept from it', async ({ page, world }) => {
  const word = fresh('Out');
  const [a] = await people(world, word, 1);
  const admin = await join(world, fresh('Adam'), 'admin');
  await visit(page, admin.console, '/users?role=owner');
  const owner = (await page.locator('input.tick').first().getAttribute('value'))!;
  const done = await fetch(`${world.base}/console/batches/prepare`, {
    method: 'POST',
    body: `action=suspend&users[]=${owner}&users[]=${a}`,
    headers: {
      accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded', 'sec-fetch-site': 'same-origin',
      cookie: admin.console.session().map(({ name, value }) => `${name}=${value}`).join('; '),
    },
  });
  await page.goto(world.base + (await done.json()).go);
  await expect(page.getByRole('row', { name: 'Ada Lovelace' })).toContainText('Only an owner');
  await page.getByRole('button', { name: 'Confirm for 1 person' }).click();
  await said(page, '1 person changed.');
  await expect(page.getByRole('row', { name: `A ${word}` })).toContainText('every secret of theirs is revoked for good');
});

test('everybody who matches is changed, more than a page of them too', async ({ page, world }) => {
  const word = fresh('Whole');
  await people(world, word, 4);
  await visit(page, world.owner, `/users?q=${encodeURIComponent(word)}`);
  await page.getByRole('checkbox', { name: `Select A ${word}` }).check();
  await page.getByLabel('All 4 that match').check();
  await page.getByRole('button', { name: 'Set limit…' }).click();
  await page.getByLabel('Dollars a month').fill('1.25');
  await page.getByRole('button', { name: 'Show what would happen' }).click();
  await expect(page.getByText('4 people may spend $1.25 a month each: at most $5.00 together.')).toBeVisible();
  await page.getByRole('button', { name: 'Confirm for 4 people' }).click();
  await said(page, '4 people changed.');
});

test('the table that is exported is what is shown, and no cell of it is a formula', async ({ page, world }) => {
  const word = fresh('Export');
  const done = await world.owner.post('users/create', { name: `=cmd|' /C calc'!A0 ${word}`, email: `${word.replace(' ', '.')}@acme.example`, role: 'member' });
  const id = done.once.Link.url.split('/').at(-2);
  await world.owner.post('groups/add-member', { group: world.research, user: id });
  await visit(page, world.owner, `/users?q=${encodeURIComponent(word)}`);
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Export', exact: true }).click()]);
  const text = await new Response(await download.createReadStream() as any).text();
  const [head, line, ...rest] = text.split('\r\n');
  expect(head).toBe('name,email,role,groups,monthly_limit,status,month_to_date,last_call');
  expect(line).toMatch(/^'=cmd/);
  expect(line).toContain('member,Engineering/Research,');
  expect(rest).toEqual(['']);
  const member = await join(world, fresh('Mo'), 'member');
  const cookie = member.console.session().map(({ name, value }) => `${name}=${value}`).join('; ');
  expect((await fetch(`${world.base}/users.csv`, { headers: { cookie } })).status).toBe(403);
  expect((await fetch(`${world.base}/users.csv`)).status).toBe(401);
});

test('several people are chosen for a group in its dialog', async ({ page, world }) => {
  const word = fresh('Chosen');
  await people(world, word, 3);
  const group = await world.owner.create('groups/create', { name: fresh('Team'), kind: 'project', parent: world.engineering });
  await visit(page, world.owner, `/groups/${group}?dialog=add`);
  const dialog = page.getByRole('dialog');
  await expect(dialog.getByRole('button', { name: 'Add people' })).toBeDisabled();
  await dialog.getByRole('searchbox').fill(word);
  await dialog.getByRole('button', { name: 'Search' }).click();
  for (const letter of ['A', 'B', 'C']) {
    await dialog.getByRole('list', { name: 'People to choose from' }).getByText(`${letter} ${word}`).filter({ visible: true }).click();
    await expect(dialog.getByRole('link', { name: `Leave out ${letter} ${word}` })).toBeVisible();
  }
  await dialog.getByRole('link', { name: `Leave out B ${word}` }).click();
  await dialog.getByRole('button', { name: 'Add 2 people' }).click();
  await said(page, '2 people added.');
  await page.goto(`${world.base}/groups/${group}`);
  await expect(page.getByRole('row', { name: `A ${word}` })).toBeVisible();
  await expect(page.getByRole('row', { name: `B ${word}` })).toHaveCount(0);
});

test('a table is imported after its difference was shown, and importing an export changes nothing', async ({ page, world }) => {
  const word = fresh('Table');
  const [a] = await people(world, word, 1);
  await world.owner.post('groups/add-member', { group: world.research, user: a });
  await world.owner.post('users/limit', { id: a, was: '', cap: '7' });
  const address = `new-${word.split(' ')[1]}@acme.example`;
  await visit(page, world.owner, '/users');
  const exported = await (await page.request.get(`${world.base}/users.csv?q=${encodeURIComponent(word)}`)).text();
  await page.getByRole('link', { name: 'Import', exact: true }).click();
  const table = page.getByLabel('Or the table itself');
  const show = page.getByRole('button', { name: 'Show the difference' });
  await table.fill(exported);
  await show.click();
  await expect(page.getByText('The one person in it is as the table says: there is nothing to change.')).toBeVisible();

  const unfold = () => page.getByText('The table', { exact: true }).click();
  await unfold();
  await table.fill('name,email,role,groups,monthly_limit\nB,b@acme.example,chief,,\nC,c@acme.example,member,Nowhere,1');
  await show.click();
  const wrong = page.getByRole('listitem').filter({ hasText: /^Line \d/ });
  await expect(wrong, 'a line for each').toHaveText([/^Line 2, role: .*\.$/, /^Line 3, groups: There is no group "Nowhere"\. .*\.$/]);
  await expect(page.getByText('Nothing is imported: 2 lines need another look.')).toBeVisible();
  await expect(table).toHaveAttribute('aria-invalid', 'true');

  await table.fill(`${exported}N ${word},${address},auditor,Engineering,3.50,,,\n`);
  await show.click();
  await expect(page.getByText('Nothing has been changed yet. 1 new.')).toBeVisible();
  await expect(page.getByRole('heading', { name: 'The difference' })).toBeFocused();
  await expect(page.getByRole('row', { name: address })).toContainText('Joins Engineering');
  expect(await world.owner.page(`/users?q=${address}`), 'and it was not').toContain('Nobody matches');
  await page.getByRole('button', { name: 'Import', exact: true }).click();
  await said(page, 'Imported. 1 new.');
  await expect(page.getByRole('row', { name: address }), 'each person once').toHaveCount(1);
  await expect(page.getByRole('button', { name: 'Undo' })).toBeVisible();
  await page.goto(`${world.base}/users?q=${address}`);
  const row = page.getByRole('row', { name: `N ${word}` });
  await expect(row).toContainText('Auditor');
  await expect(row).toContainText('Engineering');
  await expect(row).toContainText('$3.50');
});

test('a table from a spreadsheet is read in its own encoding, and kept to be mended when it is refused', async ({ page, world }) => {
  const address = `u-${fresh('Umlaut').split(' ')[1]}@acme.example`;
  const file = (text: string) => ({ name: 'people.csv', mimeType: 'text/csv', buffer: Buffer.from(text, 'latin1') });
  await visit(page, world.owner, '/users/import');
  const table = page.getByLabel('Or the table itself');
  const show = page.getByRole('button', { name: 'Show the difference' });
  await page.getByLabel('A file').setInputFiles(file(`name;email;role\nJ\xfcrgen M\xfcller;${address};chief\n`));
  await show.click();
  await expect(page.getByRole('listitem').filter({ hasText: /^Line 2, role/ })).toBeVisible();
  await expect(table, 'the text is still there').toHaveValue(/Jürgen Müller/);
  await page.getByLabel('A file').setInputFiles(file(`name;email;role\nJ\xfcrgen M\xfcller;${address};member\n`));
  await show.click();
  await expect(page.getByText('it was read as Windows-1252')).toBeVisible();
  await expect(page.getByRole('row', { name: address })).toContainText('Jürgen Müller');
  await page.getByRole('button', { name: 'Import', exact: true }).click();
  await said(page, 'Imported. 1 new.');

  await page.goto(`${world.base}/users/import`);
  await page.getByLabel('A file').setInputFiles({ name: 'people.csv', mimeType: 'text/csv', buffer: Buffer.from('PK\x03\x04\0\xff', 'latin1') });
  await show.click();
  await expect(page.getByText('This file is no text')).toBeVisible();
});

test('a table that was changed after it was compared is not imported', async ({ page, world, javaScriptEnabled }) => {
  const word = fresh('Edited');
  const address = `e-${word.split(' ')[1]}@acme.example`;
  await visit(page, world.owner, '/users/import');
  const table = page.getByLabel('Or the table itself');
  await table.fill(`name,email\nE ${word},${address}\n`);
  await page.getByRole('button', { name: 'Show the difference' }).click();
  const run = page.getByRole('button', { name: 'Import', exact: true });
  await expect(run).toBeVisible();
  if (javaScriptEnabled !== false) await alive(page);
  await page.getByText('The table', { exact: true }).click();
  await table.fill(`name,email\nF ${word},${address}\n`);
  if (javaScriptEnabled !== false) {
    await expect(run).toBeHidden();
    await expect(page.getByText('show the difference again before it is imported')).toBeVisible();
    return;
  }
  await run.click();
  await expect(page.getByText('Nothing was imported: people or the table have changed')).toBeVisible();
  await expect(page.getByRole('listitem').filter({ hasText: `F ${word}` })).toBeVisible();
});

test('many are invited again: the links stand on a page that says it is done, each by itself and as a table', async ({ page, world, javaScriptEnabled }) => {
  const word = fresh('Again');
  await people(world, word, 3);
  await visit(page, world.owner, `/users?q=${encodeURIComponent(word)}`);
  for (const letter of ['A', 'B', 'C']) await page.getByRole('checkbox', { name: `Select ${letter} ${word}` }).check();
  await page.getByRole('button', { name: 'Invite again…' }).click();
  // Whoever leaves it comes back to those they chose.
  await page.getByRole('link', { name: 'Cancel' }).click();
  await expect(page).toHaveURL(new RegExp(`/users\\?q=${encodeURIComponent(word)}&ticked=`));
  for (const letter of ['A', 'B', 'C']) await expect(page.getByRole('checkbox', { name: `Select ${letter} ${word}` })).toBeChecked();
  await page.getByRole('button', { name: 'Invite again…' }).click();
  await page.getByRole('button', { name: 'Confirm for 3 people' }).click();
  await expect(page.getByText('Done: 3 people changed')).toBeVisible();
  await expect(page.getByRole('button', { name: /Confirm/ })).toHaveCount(0);
  const links = page.locator('.once-links li');
  await expect(links).toHaveCount(3);
  const link = (await links.filter({ hasText: `B ${word}` }).locator('pre').textContent())!;
  expect(link).toMatch(/\/join\//);
  if (javaScriptEnabled !== false) await expect(page.getByRole('button', { name: 'Copy' })).toHaveCount(3);
  const save = page.getByRole('link', { name: 'Save all as a table' });
  const [download] = await Promise.all([page.waitForEvent('download'), save.click()]);
  const text = await new Response(await download.createReadStream() as any).text();
  expect(text.split('\r\n')).toHaveLength(5);
  expect(text).toContain(link);
  const answer = await page.request.get(link);
  expect(answer.status(), 'the link works').toBe(200);
});

test('a change that was undone says by whom, and what is so now', async ({ page, world }) => {
  const word = fresh('Undone');
  await people(world, word, 2);
  await visit(page, world.owner, `/users?q=${encodeURIComponent(word)}`);
  for (const letter of ['A', 'B']) await page.getByRole('checkbox', { name: `Select ${letter} ${word}` }).check();
  await page.getByRole('button', { name: 'Add to a group…' }).click();
  await page.getByLabel('Group').selectOption({ label: 'Engineering/Research' });
  await page.getByLabel('Last day').fill('2099-05-03');
  await page.getByRole('button', { name: 'Show what would happen' }).click();
  await expect(page.getByText('2 people join Research, through 3 May 2099.')).toBeVisible();
  await expect(page.getByRole('row', { name: `A ${word}` })).toContainText('Joins Research, through 3 May 2099');
  await page.getByRole('button', { name: 'Confirm for 2 people' }).click();
  await page.getByRole('button', { name: 'Undo' }).click();
  await expect(page.getByText(/undone again by Ada Lovelace on /)).toBeVisible();
  await expect(page.getByRole('heading', { name: 'Was changed, and undone' })).toBeVisible();
  await expect(page.getByRole('row', { name: `A ${word}` })).toContainText('Undone: joins Research');
});
