import { expect, fresh, join, refused, said, test, visit } from './bursar';

test('a group is made, filled, renamed, moved and archived', async ({ page, world }) => {
  const name = fresh('Vision');
  const noor = fresh('Noor');
  await join(world, noor, 'member');
  await visit(page, world.owner, '/groups');
  await page.getByRole('link', { name: 'New group' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Inside').selectOption(world.research);
  await dialog.getByRole('button', { name: 'Create the group' }).click();
  await expect(dialog.getByText(/Enter a name|between 1 and/i)).toBeVisible();
  await expect(dialog.getByLabel('Inside'), 'a refused form keeps what was chosen').toHaveValue(world.research);
  await dialog.getByLabel('Name').fill(name);
  await dialog.getByRole('button', { name: 'Create the group' }).click();
  await expect(page.getByRole('heading', { name, level: 1 })).toBeVisible();
  const address = page.url().split('?')[0];

  await page.getByRole('link', { name: 'Add people' }).click();
  await dialog.getByRole('searchbox').fill(noor);
  await dialog.getByRole('button', { name: 'Search' }).click();
  // Without script it is a button of the form, which takes along what that says.
  const choice = dialog.getByRole('list', { name: 'People to choose from' });
  await choice.getByText(noor).filter({ visible: true }).first().click();
  await expect(dialog.getByRole('link', { name: `Leave out ${noor}` })).toBeVisible();
  await dialog.getByLabel('They lead this group').check();
  await dialog.getByRole('button', { name: 'Add 1 person' }).click();
  await said(page, '1 person added');
  await page.goto(address);
  await expect(page.getByRole('row', { name: /Noor.*lead/ })).toBeVisible();

  await page.goto(address);
  await page.getByRole('link', { name: 'Edit', exact: true }).click();
  await dialog.getByLabel('Name').fill(`${name} 🔭 רדאר`);
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByRole('heading', { name: `${name} 🔭 רדאר`, level: 1 })).toBeVisible();

  await page.goto(address);
  await page.getByRole('link', { name: 'Move' }).click();
  await dialog.getByLabel('Inside').selectOption('');
  await dialog.getByRole('button', { name: 'See what changes' }).click();
  await page.getByRole('button', { name: /^Save$|^Save anyway$/ }).click();
  await page.goto(address);
  await expect(page.getByRole('navigation', { name: /breadcrumb|you are here/i }).getByText('Research')).toHaveCount(0);

  await page.goto(address);
  await page.getByRole('link', { name: 'Archive' }).click();
  await expect(dialog).toContainText('This cannot be undone');
  await dialog.getByLabel(/^Type/).fill(`${name} 🔭 רדאר`);
  await dialog.getByRole('button', { name: 'Archive the group' }).click();
  await said(page, /archived/i);
  await page.goto(`${world.base}/groups`);
  await expect(page.getByRole('link', { name: new RegExp(name) })).toHaveCount(0);
});

test('a group cannot be put inside itself, nor take a name twice', async ({ page, world }) => {
  const [above, below] = [fresh('Above'), fresh('Below')];
  const parent = await world.owner.create('groups/create', { name: above, kind: 'custom', parent: '' });
  const child = await world.owner.create('groups/create', { name: below, kind: 'custom', parent });
  await visit(page, world.owner, `/groups/${parent}?dialog=move`);
  const dialog = page.getByRole('dialog');
  const places = dialog.getByLabel('Inside').locator('option');
  await expect(places.filter({ hasText: 'At the top' })).toHaveCount(1);
  await expect(places.filter({ hasText: above }), 'what would make a circle is not offered').toHaveCount(0);
  await expect(world.owner.post('groups/move', { id: parent, was: '', parent: child }), 'nor taken').rejects.toThrow(/cannot be inside itself/);
  await page.goto(`${world.base}/groups/${parent}?dialog=new`);
  await dialog.getByLabel('Name').fill(below.toUpperCase());
  await dialog.getByRole('button', { name: 'Create the group' }).click();
  await refused(dialog.getByLabel('Name'), below.toUpperCase(), /already a group with this name/);
});

test('a group with others below is not offered to be archived, and says which they are', async ({ page, world }) => {
  const name = fresh('Above');
  const group = await world.owner.create('groups/create', { name, kind: 'project', parent: world.engineering });
  const below = fresh('Below');
  await world.owner.create('groups/create', { name: below, kind: 'project', parent: group });
  await visit(page, world.owner, `/groups/${group}?dialog=archive`);
  const dialog = page.getByRole('dialog');
  await expect(dialog).toContainText('It still has a group below it.');
  await expect(dialog.getByRole('link', { name: below })).toBeVisible();
  await expect(dialog.getByRole('button')).toHaveCount(0);
});

test('who is in a group stands first, beside the tree, and its limits are not far below', async ({ page, world }) => {
  const group = await world.owner.create('groups/create', { name: fresh('Crowd'), kind: 'project', parent: world.engineering });
  for (const letter of 'ABCDEFGHIJKL') {
    const { id } = await join(world, fresh(`${letter} Crowd`), 'member');
    await world.owner.post('groups/add-member', { group, user: id });
  }
  await visit(page, world.owner, `/groups/${group}`);
  const people = page.getByRole('region', { name: 'People' });
  await expect(people.getByRole('row', { name: /A Crowd/ })).toBeInViewport();
  await expect(page.locator('.members-tree').getByRole('link', { name: 'Engineering', exact: true })).toBeInViewport();
  const limits = await page.getByRole('heading', { name: 'Limits', exact: true }).boundingBox();
  const [list, window] = [await people.boundingBox(), page.viewportSize()!];
  expect(limits!.y, 'below the people').toBeGreaterThan(list!.y + list!.height - 1);
  expect(limits!.y, 'and not a screen further down').toBeLessThan(1.5 * window.height);
});

test('what somebody else changed since is not undone, and the line says who and to what', async ({ page, world }) => {
  const [before, mine, theirs] = [fresh('Before'), fresh('Mine'), fresh('Theirs')];
  const group = await world.owner.create('groups/create', { name: before, kind: 'custom', parent: world.research });
  const adam = await join(world, fresh('Adam'), 'admin');
  await visit(page, world.owner, `/groups/${group}?dialog=edit`);
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name').fill(mine);
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByRole('heading', { name: mine, level: 1 })).toBeVisible();
  await adam.console.post('groups/edit', { id: group, version: '2', kind: 'custom', name: theirs });
  await page.getByRole('button', { name: 'Undo' }).click();
  await said(page, `changed ${theirs} since (name: “${mine}” → “${theirs}”). Nothing was undone`);
});
