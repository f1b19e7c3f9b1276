import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { format } from 'prettier';
import { kindIds, findKind, type KindId } from '#catalogue';
import { findRule, listOptions, type OptionRule } from './option-rules.ts';
import type { Provider } from './provider.ts';
import { createProviders } from './registry.ts';

const page = new URL('../../docs/reference/provider-options.md', import.meta.url);

const { list } = createProviders({
  huggingFace: { token: 'hf_x', inferenceEndpoints: new Map(), concurrency: 1 },
  ollama: { url: 'http://127.0.0.1:9', concurrency: 1 },
  openaiCompatible: [{ name: 'OpenAI-compatible', url: 'http://127.0.0.1:9/v1', concurrency: 1 }],
});
const providers = list.filter(({ optionTable }) => optionTable);

function describeRule(rule: OptionRule): string {
  if (rule === 'given') return 'given';
  if ('as' in rule) return `given as ${rule.as}`;
  if ('applied' in rule) return `applied here: ${rule.applied}`;
  const allowed = rule.allows?.map((value) => `\`${JSON.stringify(value)}\``).join(', ');
  return `refused${allowed ? `, except ${allowed}` : ''}. ${rule.refused}`;
}

const describeOption = ({ handlers, optionTable }: Provider, kind: KindId, option: string): string =>
  handlers[kind] && optionTable ? describeRule(findRule(optionTable, kind, option)) : '';

const intro = `# Options by provider

What each hosted provider does with each option of each kind. **given**: sent to the upstream, under this name or another. **applied here**:
Millrace does it. **refused**: \`400\`, code \`unsupported\`, before the request is queued; the message names the option and what can be used. In
a batch, the line fails with the same message. The sandbox takes all options and simulates what they ask for as far as it can.

Fields that are not in the table are passed to the upstream where the kind is a pass-through (chat, text generation), except to Ollama, which
has no others: there they are refused. This page is generated.
`;

/** To update the page, delete it and run this test: it writes the page. */
test('docs/reference/provider-options.md says what each provider does with each option', async () => {
  const sections = kindIds.flatMap((kind) => {
    const options = listOptions(kind).filter((name) => name !== 'metadata');
    const runners = providers.filter(({ handlers }) => handlers[kind]);
    if (options.length === 0 || runners.length === 0) return [];
    const rows = options.map((option) => [
      `\`${option}\``,
      ...runners.map((provider) => describeOption(provider, kind, option)),
    ]);
    const lines = [['option', ...runners.map(({ id }) => id)], ['---', ...runners.map(() => '---')], ...rows];
    return [`## ${findKind(kind).title}\n\n${lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n')}\n`];
  });
  const expected = await format([intro, ...sections].join('\n'), { parser: 'markdown', printWidth: 140 });
  if (!existsSync(page)) writeFileSync(page, expected);
  expect(readFileSync(page, 'utf8')).toBe(expected);
});
