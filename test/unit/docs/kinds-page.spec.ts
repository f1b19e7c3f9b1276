import { readFileSync, writeFileSync } from 'node:fs';
import { format } from 'prettier';
import { kindIds, findKind } from '#catalogue';
import { buildKindsTable } from './kinds-page.ts';

const page = new URL('../../../docs/reference/kinds.md', import.meta.url);

/** To regenerate the table, delete it from the page and run this test. */
test('docs/reference/kinds.md has the table that the catalogue and the endpoint table generate', async () => {
  const text = readFileSync(page, 'utf8');
  const [before = ''] = text.split('| kind ', 1);
  const table = buildKindsTable(kindIds.map((id) => findKind(id)));
  const expected = await format(`${before}${table}\n`, { parser: 'markdown', printWidth: 110 });
  if (before === text) writeFileSync(page, expected);
  else expect(text).toBe(expected);
});
