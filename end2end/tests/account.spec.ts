import { expect, fresh, join, PASSWORD, said, test, visit } from './bursar';

test('somebody is invited, joins, changes the password, and signs in and out', async ({ page, world }) => {
  const name = fresh('Mia');
  const email = `${name.toLowerCase().replace(' ', '.')}@acme.example`;
  await visit(page, world.owner, '/users');
  await page.getByRole('link', { name: 'Invite', exact: true }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name').fill(name);
  await dialog.getByLabel('Email').fill(email);
  await dialog.getByRole('button', { name: 'Invite' }).click();
  const link = /http:\/\/\S+\/join\/\S+/.exec((await dialog.getByText(/\/join\//).first().textContent())!)![0];

  await page.context().clearCookies();
  await page.goto(link);
  await expect(page.getByRole('heading', { name: 'Join Acme' })).toBeVisible();
  await page.getByLabel('Choose a password').fill('short');
  await page.getByRole('button', { name: 'Join' }).click();
  await expect(page.getByText('At least 12 characters').first()).toBeVisible();
  await page.getByLabel('Choose a password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Join' }).click();
  await expect(page.getByRole('heading', { name: 'My models' })).toBeVisible();

  await page.goto(`${world.base}/account`);
  await page.getByLabel('Current password').fill(PASSWORD);
  await page.getByLabel('New password', { exact: true }).fill('another calm ledger');
  await page.getByLabel('New password again').fill('another calm ledger');
  await page.getByRole('button', { name: 'Change password' }).click();
  await said(page, /password/i);

  await page.goto(`${world.base}/account`);
  await page.getByRole('button', { name: 'Sign out' }).first().click();
  await expect(page).toHaveURL(/sign-in/);
  await page.getByLabel('Email').fill(email);
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByText('do not belong together')).toBeVisible();
  await expect(page.getByLabel('Email')).toHaveValue(email);
  await page.getByLabel('Password').fill('another calm ledger');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByRole('heading', { name: 'My models' })).toBeVisible();
});

test('an invitation that is opened by somebody who is signed in asks who goes on', async ({ page, world }) => {
  const [jo, pia] = [fresh('Jo'), fresh('Pia')];
  const somebody = await join(world, jo, 'member');
  const email = `${pia.toLowerCase().replace(' ', '.')}@acme.example`;
  const done = await world.owner.post('users/create', { name: pia, email, role: 'member' });
  const link = new URL(done.once.Link.url).pathname;

  await visit(page, somebody.console, link);
  await expect(page.locator('main')).toContainText(`You are signed in here as ${jo}`);
  await expect(page.getByLabel('Choose a password')).toHaveCount(0);
  const [org, user, token] = link.split('/').slice(-3);
  const sent = somebody.console.post('join/accept', { org, user, token, name: pia, password: PASSWORD });
  await expect(sent, 'nor by a form that has stood there').rejects.toThrow(`You are signed in as ${jo}`);

  // Signed out, the same page is the invitation.
  await page.getByRole('button', { name: 'Sign out' }).click();
  await expect(page.getByLabel('Choose a password')).toBeVisible();
  await visit(page, somebody.console, '/account');
  await expect(page).toHaveURL(/sign-in/);

  const kai = await join(world, fresh('Kai'), 'member');
  await visit(page, kai.console, link);
  await page.getByRole('link', { name: `Go on as ${pia}` }).click();
  await page.getByLabel('Choose a password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Join' }).click();
  await expect(page.getByRole('heading', { name: 'My models' })).toBeVisible();
  await expect(page.locator('body')).toContainText(pia);
  await visit(page, world.owner, `/audit?what=${encodeURIComponent(pia)}`);
  const joined = page.getByRole('row').filter({ hasText: 'User joined' });
  await expect(joined, 'where from, and by which request').toContainText(/127\.0\.0\.1.*req_/s);
  await visit(page, world.owner, `/audit?subject=${world.research}`);
  await expect(page.getByRole('row').filter({ hasText: 'Group created' }), 'an id as people see it').toContainText('Research');
  await visit(page, world.owner, '/audit?subject=Research');
  await expect(page.getByText('Research is no id. Copy it from the address of a page.')).toBeVisible();
});

test('somebody who signs in lands where they wanted to go', async ({ page, world }) => {
  await join(world, fresh('Leo'), 'auditor');
  await page.goto(`${world.base}/audit?subject=group`);
  await expect(page).toHaveURL(/sign-in\?next=/);
  await page.getByLabel('Email').fill('ada@acme.example');
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page).toHaveURL(/\/audit\?subject=group/);
});
