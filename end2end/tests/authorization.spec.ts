import { application, call, expect, fresh, said, test, visit } from './bursar';

const STATES = [['closed', 404], ['by_request', 403], ['open', 200], ['inherit', 200]] as const;

for (const what of ['tier', 'model'] as const) {
  test(`what the matrix says of a ${what} is what the next call meets`, async ({ page, world }) => {
    const name = fresh('Team');
    const group = await world.owner.create('groups/create', { name, kind: 'function', parent: world.engineering });
    const { secret } = await application(world, fresh('matrix'), group);
    expect((await call(world, secret)).status).toBe(200);
    const column = what === 'tier' ? 1 : 2;
    await visit(page, world.owner, '/authorization');
    if (what === 'model') await page.getByRole('link', { name: 'Unfold general' }).click();

    for (const [state, status] of STATES) {
      await page.getByRole('row').filter({ hasText: name }).locator(`> :nth-child(${column + 1})`).getByRole('link').click();
      const dialog = page.getByRole('dialog');
      await expect(dialog).toContainText(`${name} and ${what === 'tier' ? 'general' : 'small-chat'}`);
      await dialog.getByLabel('Here').selectOption(state);
      await dialog.getByRole('button', { name: 'Save' }).click();
      await said(page, 'It holds from the next call on');
      expect((await call(world, secret)).status, state).toBe(status);
    }
  });
}

test('a lock holds below, and the cell says so', async ({ page, world }) => {
  const [above, below] = [fresh('Above'), fresh('Below')];
  const parent = await world.owner.create('groups/create', { name: above, kind: 'department', parent: world.engineering });
  const group = await world.owner.create('groups/create', { name: below, kind: 'function', parent });
  const { secret } = await application(world, fresh('locked'), group);
  await world.owner.post('authorizations/set', { group, target: `tier:${world.tier}`, state: 'open' });
  await visit(page, world.owner, `/authorization?dialog=cell&cell=${parent}~tier:${world.tier}`);
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Here').selectOption('closed');
  await dialog.getByLabel('Locked').check();
  await dialog.getByRole('button', { name: 'Save' }).click();
  await said(page, 'It holds from the next call on');
  expect((await call(world, secret)).status).toBe(404);
  await expect(page.getByRole('row').filter({ hasText: above })).toContainText('locked');
  await expect(page.getByRole('row').filter({ hasText: below })).toContainText('a lock above overrules');
});
