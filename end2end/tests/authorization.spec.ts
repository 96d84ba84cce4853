import { application, call, expect, fresh, said, test, visit } from './bursar';

test('what the matrix says is what the next call meets', async ({ page, world }) => {
  const name = fresh('Team');
  const group = await world.owner.create('groups/create', { name, kind: 'function', parent: world.engineering });
  const { secret } = await application(world, fresh('matrix'), group);
  expect((await call(world, secret)).status).toBe(200);

  for (const [state, status] of [['closed', 404], ['by_request', 403], ['inherit', 200]] as const) {
    await visit(page, world.owner, '/authorization');
    await page.getByRole('row').filter({ hasText: name }).getByRole('link').filter({ hasText: /open|closed|request/i }).first().click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Here').selectOption(state);
    await dialog.getByRole('button', { name: 'Save' }).click();
    await said(page, 'It holds from the next call on');
    expect((await call(world, secret)).status, state).toBe(status);
  }
});
