import { readFileSync, writeFileSync } from 'node:fs';
import { format } from 'prettier';
import { kindIds, kindOf } from './index.ts';
import { kindsTable } from './kinds-page.ts';

const page = new URL('../../docs/kinds.md', import.meta.url);

/** Cut the table off the page and run this: it is written anew. */
test('docs/kinds.md is what the catalogue says', async () => {
  const text = readFileSync(page, 'utf8');
  const [before = ''] = text.split('| kind ', 1);
  const table = kindsTable(kindIds.map((id) => kindOf(id)));
  const wanted = await format(`${before}${table}\n`, { parser: 'markdown', printWidth: 110 });
  if (before === text) writeFileSync(page, wanted);
  else expect(text).toBe(wanted);
});
