import { application, call, expect, fresh, join, refused, said, test, visit, type World } from './bursar';

test('a limit is set, bites, is raised, and goes', async ({ page, world }) => {
  const { id, secret } = await application(world, fresh('limited'), world.research);
  await visit(page, world.owner, `/applications/${id}`);
  await page.getByRole('link', { name: 'New limit' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Of').selectOption('requests');
  await dialog.getByLabel('Per', { exact: true }).selectOption('day');
  for (const nonsense of ['-1', '99999999999999999999', 'many', '1.5']) {
    await dialog.getByLabel('At most').fill(nonsense);
    await dialog.getByRole('button', { name: 'Set the limit' }).click();
    await refused(dialog.getByLabel('At most'), nonsense, /Enter a whole number/);
  }
  await dialog.getByLabel('At most').fill('1');
  await dialog.getByRole('button', { name: 'Set the limit' }).click();
  await said(page, 'Limit set');

  expect((await call(world, secret)).status).toBe(200);
  const stopped = await call(world, secret);
  expect(stopped.status).toBe(402);
  expect(stopped.headers.get('x-should-retry')).toBe('false');
  expect((await stopped.json()).error.code).toBe('quota_exceeded');

  await page.goto(`${world.base}/applications/${id}`);
  await page.getByRole('link', { name: 'Edit', exact: true }).last().click();
  await dialog.getByLabel('At most').fill('2');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await said(page, 'Limit set');
  expect((await call(world, secret)).status).toBe(200);
  expect((await call(world, secret)).status).toBe(402);

  await page.goto(`${world.base}/applications/${id}`);
  await page.getByRole('button', { name: 'Remove' }).first().click();
  await said(page, 'Limit removed');
  expect((await call(world, secret)).status).toBe(200);
});

test('every limit of the organization is on one page', async ({ page, world }) => {
  await visit(page, world.owner, '/limits?dialog=new');
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('On', { exact: true }).selectOption(`group:${world.engineering}`);
  await dialog.getByLabel('Of').selectOption('spend');
  await dialog.getByLabel('Per', { exact: true }).selectOption('year');
  await dialog.getByLabel('At most').fill('12,345.67');
  await dialog.getByRole('button', { name: 'Set the limit' }).click();
  await expect(page.getByRole('row').filter({ hasText: 'Engineering' }).filter({ hasText: '$12,345.67' }).first()).toBeVisible();
});

/** A secret whose calls count for one of each: the organization, a group, an application, a person. */
async function scopes(world: World): Promise<[kind: string, name: string, scope: string, secret: string][]> {
  const [tool, sam] = [fresh('scoped'), fresh('Sam')];
  const service = await application(world, tool, world.research);
  const person = await join(world, sam, 'member', world.research);
  const own = (await person.console.post('keys/open-personal', { group: world.research })).once.Secret.secret;
  return [
    ['organization', 'Acme', 'organization', service.secret],
    ['group', 'Engineering', `group:${world.engineering}`, service.secret],
    ['application', tool, `application:${service.id}`, service.secret],
    ['user', sam, `user:${person.id}`, own],
  ];
}

test('a limit on each of the four scopes stops the next call, and names itself', async ({ page, world }) => {
  test.slow();
  for (const [kind, name, scope, secret] of await scopes(world)) {
    expect((await call(world, secret)).status, kind).toBe(200);
    await visit(page, world.owner, '/limits?dialog=new');
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('searchbox').fill(name);
    await dialog.getByRole('button', { name: 'Search' }).click();
    await expect(dialog.getByLabel('On', { exact: true })).toContainText(name);
    await dialog.getByLabel('On', { exact: true }).selectOption(scope);
    await dialog.getByLabel('Of').selectOption('output_tokens');
    await dialog.getByLabel('Per', { exact: true }).selectOption('day');
    await dialog.getByLabel('At most').fill('0');
    await dialog.getByRole('button', { name: 'Set the limit' }).click();
    await said(page, 'Limit set: 0 output tokens a day.');
    const stopped = await call(world, secret);
    expect(stopped.status, kind).toBe(402);
    expect((await stopped.json()).error.bursar).toMatchObject({ scope: kind, metric: 'output_tokens', window: 'day' });

    await page.goto(`${world.base}/limits`);
    await page.getByRole('row').filter({ hasText: '0 output tokens a day' }).getByRole('button', { name: 'Remove' }).click();
    await said(page, 'Limit removed');
    expect((await call(world, secret)).status, kind).toBe(200);
  }
});
