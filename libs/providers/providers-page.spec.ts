import { readFileSync, writeFileSync } from 'node:fs';
import { format } from 'prettier';
import { kindIds, findKind } from '#catalogue';
import { createProviders } from './registry.ts';

const page = new URL('../../docs/guides/providers.md', import.meta.url);
const heading = '## What each runs\n';

const { list } = createProviders({
  huggingFace: { token: 'hf_x', inferenceEndpoints: new Map(), concurrency: 1 },
  ollama: { url: 'http://127.0.0.1:9', concurrency: 1 },
  openaiCompatible: [{ name: 'OpenAI-compatible', url: 'http://127.0.0.1:9/v1', concurrency: 1 }],
});

/** To update the page, delete its table and run this test: it writes the table. */
test('docs/guides/providers.md lists the kinds that each provider runs', async () => {
  const text = readFileSync(page, 'utf8');
  const [before = '', table = ''] = text.split(heading);
  const rows = kindIds.map((kind) => [
    findKind(kind).title,
    ...list.map(({ handlers }) => (handlers[kind] ? 'yes' : '')),
  ]);
  const lines = [['kind', ...list.map(({ id }) => id)], ['---', ...list.map(() => '---')], ...rows];
  const markdown = lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
  const expected = await format(`${before}${heading}\n${markdown}\n`, {
    parser: 'markdown',
    printWidth: 110,
  });
  if (table.trim() === '') writeFileSync(page, expected);
  else expect(text).toBe(expected);
});
