import { expect, fresh, said, test, visit } from './bursar';

test('a pinned test stops what would break it, by the form and by a move, until it is removed', async ({ page, world }) => {
  const [interns, pinned] = [fresh('Interns'), fresh('Interns cannot use it')];
  const group = await world.owner.create('groups/create', { name: interns, kind: 'function', parent: '' });
  await visit(page, world.owner, '/authorization');
  await page.getByRole('link', { name: 'Pinned tests' }).click();
  await page.getByRole('link', { name: /^Pin (a|the first) test$/ }).first().click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('For').selectOption(`group:${group}`);
  await dialog.getByLabel('Of').selectOption(`tier:${world.tier}`);
  await dialog.getByLabel('Expected').selectOption('not_open');
  await dialog.getByRole('button', { name: 'Pin the test' }).click();
  await expect(dialog.getByLabel('Expected'), 'a refused form keeps what was chosen').toHaveValue('not_open');
  await dialog.getByLabel('Name').fill(pinned);
  await dialog.getByRole('button', { name: 'Pin the test' }).click();
  await said(page, 'Pinned');
  const row = page.getByRole('row').filter({ hasText: pinned });
  await expect(row).toContainText('holds');

  const broken = `The pinned test “${pinned}” would break: expected not open, and tier general is open for ${interns}`;
  await page.goto(`${world.base}/authorization/rule?of=${group}~tier:${world.tier}`);
  await page.getByLabel('Here', { exact: true }).selectOption('open');
  await page.getByRole('button', { name: 'Preview' }).click();
  await expect(page.getByText(`It would break the pinned test “${pinned}”`), 'the preview says so').toBeVisible();
  await page.getByRole('button', { name: 'Save 1 change' }).click();
  await expect(page.getByText(broken), 'and it is not saved').toBeVisible();
  await page.goto(`${world.base}/authorization/rule?of=${group}~tier:${world.tier}`);
  await page.getByLabel('Here', { exact: true }).selectOption('open');
  await page.getByRole('button', { name: 'Rehearse on 30 days' }).click();
  await expect(page.getByText(`It would break the pinned test “${pinned}”`)).toBeVisible();
  await page.getByRole('button', { name: /^Save$|^Save anyway$/ }).click();
  await expect(page.getByText(broken)).toBeVisible();

  await page.goto(`${world.base}/groups/${group}?dialog=move`);
  await dialog.getByLabel('Inside').selectOption(world.engineering);
  await dialog.getByRole('button', { name: 'See what changes' }).click();
  await expect(page.getByText(`It would break the pinned test “${pinned}”`)).toBeVisible();
  await page.getByRole('button', { name: /^Save$|^Save anyway$/ }).click();
  await expect(page.getByText(/would break: expected not open/)).toBeVisible();

  await page.goto(`${world.base}/authorization/tests`);
  await row.getByRole('link', { name: 'Remove' }).click();
  await dialog.getByLabel(`Type ${pinned} to confirm`).fill(pinned);
  await dialog.getByRole('button', { name: 'Remove it' }).click();
  await said(page, 'Test removed');
  await page.goto(`${world.base}/groups/${group}?dialog=move`);
  await dialog.getByLabel('Inside').selectOption(world.engineering);
  await dialog.getByRole('button', { name: 'See what changes' }).click();
  await page.getByRole('button', { name: /^Save$|^Save anyway$/ }).click();
  await said(page, 'It holds from the next call on');
});
