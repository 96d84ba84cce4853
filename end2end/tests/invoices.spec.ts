import { application, call, card, expect, fresh, refused, test, visit } from './bursar';

test('an invoice with a mistake leaves nothing; without it, every difference is named', async ({ page, world }) => {
  const { secret } = await application(world, fresh('till'), world.research);
  expect((await call(world, secret)).status).toBe(200);
  const day = new Date().toISOString().slice(0, 10);
  const name = fresh('House');

  await visit(page, world.owner, '/invoices?dialog=new');
  const form = page.getByRole('dialog');
  await form.getByLabel('Provider').selectOption('House');
  await form.getByLabel('What to call it').fill(name);
  const wrong = `date,model,cost\n${day},tiny-1,much`;
  await form.getByLabel('Or its text').fill(wrong);
  await form.getByRole('button', { name: 'Read and compare' }).click();
  await refused(form.getByLabel('Or its text'), wrong, 'Nothing was stored. Line 2, column cost: “much” is no amount of dollars. Write it like 12.50.');
  await expect(form.getByLabel('What to call it')).toHaveValue(name);

  await form.getByLabel('Or its text').fill(`date,model,cost\n${day},tiny-1,2.00\n${day},tiny-9,3`);
  await form.getByRole('button', { name: 'Read and compare' }).click();
  await expect(page.getByRole('heading', { level: 1 })).toContainText(name);
  await expect(card(page, 'By model').getByRole('row').filter({ hasText: 'tiny-9' })).toContainText('not in the catalogue');
  await expect(card(page, 'Days and models that differ').getByRole('row').filter({ hasText: 'tiny-9' })).toContainText('+$3.00');
  const file = await world.owner.page((await page.getByRole('link', { name: 'CSV', exact: true }).getAttribute('href'))!);
  expect(file).toContain(`${day},tiny-9,3.00,0.00,3.00,`);
});

test('a comma that could be either, and a file that is too large, are told at the field', async ({ page, world }) => {
  await visit(page, world.owner, '/invoices?dialog=new');
  const form = page.getByRole('dialog');
  const name = fresh('Large');
  await form.getByLabel('Provider').selectOption('House');
  await form.getByLabel('What to call it').fill(name);
  const either = 'date;model;cost\n2026-10-28;tiny-1;12,500';
  await form.getByLabel('Or its text').fill(either);
  await form.getByRole('button', { name: 'Read and compare' }).click();
  await refused(form.getByLabel('Or its text'), either, 'Nothing was stored. Line 2, column cost: “12,500” may be 12.500 or 12500. Write it without the comma.');

  await form.getByLabel('Or its text').fill('');
  const line = '2026-10-28,tiny-1,1.00\n';
  const buffer = Buffer.from(`date,model,cost\n${line.repeat(Math.ceil((10 << 20) / line.length))}`);
  await form.getByLabel('The file').setInputFiles({ name: 'october.csv', mimeType: 'text/csv', buffer });
  await form.getByRole('button', { name: 'Read and compare' }).click();
  await expect(form.getByText('This is too large: a form with a file holds 8 MB. Split the file, and send its parts one after the other.').first()).toBeVisible();
  await expect(form.getByLabel('The file')).toHaveAttribute('aria-invalid', 'true');
  await expect(form.getByLabel('What to call it')).toHaveValue(name);
});
