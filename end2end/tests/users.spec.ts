import { expect, fresh, join, said, test, visit } from './bursar';

test('somebody is found, edited, put into a group, suspended and let in again', async ({ page, world }) => {
  const name = fresh('Otto');
  const { id, console: otto } = await join(world, name, 'member');
  await visit(page, world.owner, '/users');
  await page.getByRole('searchbox').fill(name);
  await page.getByRole('searchbox').press('Enter');
  await page.getByRole('link', { name, exact: true }).click();
  await expect(page.getByRole('heading', { name, level: 1 })).toBeVisible();

  await page.getByRole('link', { name: 'Edit', exact: true }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Role').selectOption('auditor');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(page.locator('main')).toContainText('Auditor');

  await page.goto(`${world.base}/users/${id}?dialog=join`);
  await dialog.getByLabel('Group').selectOption(world.research);
  await dialog.getByRole('button', { name: 'Add' }).click();
  await expect(page.getByRole('link', { name: /Research/ }).first()).toBeVisible();

  await page.goto(`${world.base}/users/${id}`);
  await page.getByRole('link', { name: 'Suspend' }).click();
  await dialog.getByRole('button', { name: 'Suspend' }).click();
  await expect(page.locator('main').getByText(/suspended/i).first()).toBeVisible();
  expect(await otto.page('/users'), 'and is out at once').not.toContain('Otto');

  await page.goto(`${world.base}/users/${id}`);
  await page.getByRole('button', { name: 'Let in again' }).click();
  await expect(page.getByRole('link', { name: 'Suspend', exact: true })).toBeVisible();
});

test('a search that finds nobody says so', async ({ page, world }) => {
  await visit(page, world.owner, '/users?q=nobody+is+called+this');
  await expect(page.getByText(/nobody/i).first()).toBeVisible();
});

test('an address is taken once', async ({ page, world }) => {
  await visit(page, world.owner, '/users?dialog=invite');
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name').fill('Ada again');
  await dialog.getByLabel('Email').fill('ADA@acme.example');
  await dialog.getByRole('button', { name: 'Invite' }).click();
  await expect(dialog.getByText('already here')).toBeVisible();
  await expect(dialog.getByLabel('Name')).toHaveValue('Ada again');
});

test('whoever is invited is put into a group with it, and the groups that everybody joins are named', async ({ page, world }) => {
  const [name, everyone] = [fresh('Invited'), fresh('Everyone')];
  const group = await world.owner.create('groups/create', { name: everyone, kind: 'custom', parent: '' });
  await visit(page, world.owner, '/users');
  await page.getByRole('link', { name: 'Invite', exact: true }).click();
  const dialog = page.getByRole('dialog');
  await expect(dialog.getByText('Models come through groups')).toBeVisible();
  await world.owner.post('groups/default', { id: group, was: 'false', default: 'true' });
  try {
    await page.goto(`${world.base}/users?dialog=invite`);
    await expect(dialog.getByText(`Also joins: ${everyone}.`)).toBeVisible();
    await dialog.getByLabel('Name').fill(name);
    await dialog.getByLabel('Email').fill('no address');
    await dialog.getByLabel('Group').selectOption({ label: 'Engineering/Research' });
    await dialog.getByRole('button', { name: 'Invite' }).click();
    await expect(dialog.getByLabel('Group'), 'what was chosen stays chosen').toHaveValue(world.research);
    await dialog.getByLabel('Email').fill(`${name.toLowerCase().replace(' ', '.')}@acme.example`);
    await dialog.getByRole('button', { name: 'Invite' }).click();
    await expect(page.getByText(`Send this link to ${name}.`)).toBeVisible();
    await page.goto(`${world.base}/users?q=${encodeURIComponent(name)}`);
    const row = page.getByRole('row', { name });
    await expect(row).toContainText('Research');
    await expect(row).toContainText(everyone);
    await row.getByRole('link', { name, exact: true }).click();
    await expect(page.getByRole('listitem').filter({ hasText: everyone }).first()).toContainText('default group');
  } finally {
    await world.owner.post('groups/default', { id: group, was: 'true', default: 'false' });
  }
});
