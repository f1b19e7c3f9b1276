import { readFileSync, writeFileSync } from 'node:fs';
import { format } from 'prettier';
import { kindIds, kindOf } from '#catalogue';
import { createProviders } from './registry.ts';

const page = new URL('../../docs/providers.md', import.meta.url);
const heading = '## What each runs\n';

const { list } = createProviders({
  huggingFace: { token: 'hf_x', endpoints: new Map(), concurrency: 1 },
  ollama: { url: 'http://127.0.0.1:9', concurrency: 1 },
  openaiCompatible: [{ name: 'OpenAI-compatible', url: 'http://127.0.0.1:9/v1', concurrency: 1 }],
});

/** Cut the table off the page and run this: it is written anew. */
test('docs/providers.md is what the tables of the providers say', async () => {
  const text = readFileSync(page, 'utf8');
  const [before = '', table = ''] = text.split(heading);
  const rows = kindIds.map((kind) => [
    kindOf(kind).title,
    ...list.map(({ handlers }) => (handlers[kind] ? 'yes' : '')),
  ]);
  const lines = [['kind', ...list.map(({ id }) => id)], ['---', ...list.map(() => '---')], ...rows];
  const written = lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
  const wanted = await format(`${before}${heading}\n${written}\n`, { parser: 'markdown', printWidth: 110 });
  if (table.trim() === '') writeFileSync(page, wanted);
  else expect(text).toBe(wanted);
});
