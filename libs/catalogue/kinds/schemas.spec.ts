/** The JSON Schema of a kind and the server's own check agree on generated inputs. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import { buildKindSchemas, findKind, kindIds } from '../index.ts';

const ajv = new Ajv2020({ strict: false, allErrors: false });

type Json = Record<string, unknown>;

const oddValues: readonly unknown[] = [
  null,
  true,
  '',
  ' ',
  '\n\t',
  '\u00a0\u3000',
  'text',
  'a\0b',
  '\ud800',
  '😀',
  'auto',
  '0',
  '007',
  '-1',
  '1e3',
  '4',
  '3600',
  '3601',
  0,
  -0,
  -1,
  1,
  0.5,
  1.5,
  7,
  100,
  1_001,
  100_000,
  2 ** 31,
  2 ** 53,
  2 ** 60,
  1e21,
  1e300,
  -1e300,
  [],
  [[]],
  [0],
  [-1],
  [1.5],
  [''],
  ['a', 'b'],
  ['a', null],
  [['a']],
  [[1, 2], [3]],
  ['a', [1]],
  Array.from({ length: 17 }, () => 'YWJj'),
  Array.from({ length: 2_049 }, () => 'a'),
  {},
  { a: 1 },
  { a: [] },
  { a: ['1'], b: ['2', '3'] },
  'x'.repeat(513),
  '😀'.repeat(512),
  'data:image/png;base64,YWJj',
  'data:image/png;base64,YW\r\nJj\n',
  'data:audio/webm;codecs=vp9,opus;base64,YWJj',
  'data:,abc',
  'https://x.test/a.png',
  'ftp://x.test/a.png',
  `file_${'a'.repeat(32)}`,
  'file_7',
  '1024x1024',
  '0x10',
  'png',
  'wav',
  'query',
];

/** Each field of a valid input replaced by each odd value, each left out, one unknown field, then the same deeper down. */
function* mutate(valid: Json, fields: readonly string[]): Generator<Json> {
  yield valid;
  yield { ...valid, unknown_field: 1 };
  yield { ...valid, __proto__x: {} };
  for (const field of fields) {
    const { [field]: _, ...without } = valid;
    yield without;
    for (const value of oddValues) yield { ...valid, [field]: value };
    yield* mutateInside(valid, field);
  }
}

function* mutateInside(valid: Json, field: string): Generator<Json> {
  for (const deeper of listMutations(valid[field])) yield { ...valid, [field]: deeper };
}

function* listMutations(value: unknown): Generator<unknown> {
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      for (const odd of [...oddValues, ...listMutations(item)]) yield value.with(index, odd);
    }
  } else if (typeof value === 'object' && value !== null) {
    yield { ...value, unknown_field: 1 };
    for (const [key, item] of Object.entries(value)) {
      const { [key]: _, ...without } = value as Json;
      yield without;
      for (const odd of [...oddValues, ...listMutations(item)]) yield { ...value, [key]: odd };
    }
  }
}

const conversation = {
  messages: [
    { role: 'system', content: 'Be brief.', name: 'rule' },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'a', cache_control: { type: 'ephemeral' } },
        { type: 'image_url', image_url: { url: 'data:image/png;base64,YWJj', detail: 'low' } },
        { type: 'input_audio', input_audio: { data: 'YWJj', format: 'wav' } },
      ],
    },
    {
      role: 'assistant',
      content: null,
      tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{}', strict: true } }],
    },
    { role: 'tool', content: 'x', tool_call_id: 'c' },
  ],
  tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }],
};

test.each(kindIds)('%s: its JSON Schema accepts exactly what the server accepts', (id) => {
  const kind = findKind(id);
  const { input: schema } = buildKindSchemas(kind);
  const fits = ajv.compile(schema);
  const [{ model, input, options }] = kind.examples;
  const fields = Object.keys(schema.properties ?? {});
  const starts: Json[] = [{ ...input, ...options }];
  if (id === 'chat-completion') starts.push(conversation);
  const disagreements: string[] = [];
  let accepted = 0;
  let refused = 0;
  for (const start of starts) {
    for (const value of mutate(start, fields)) {
      const server = kind.body.safeParse({ model, ...structuredClone(value) });
      if (server.success) accepted++;
      else refused++;
      if (fits(value) === server.success) continue;
      const reason = server.error?.issues[0]?.message ?? JSON.stringify(fits.errors);
      disagreements.push(`${JSON.stringify(value).slice(0, 200)}: server ${server.success}: ${reason}`);
    }
  }
  expect(disagreements).toEqual([]);
  expect(accepted).toBeGreaterThan(1);
  expect(refused).toBeGreaterThan(50);
});

test('an output schema lets the note `millrace` through', () => {
  for (const id of kindIds) {
    expect(buildKindSchemas(findKind(id)).output).toMatchObject({
      properties: { millrace: { type: 'object' } },
    });
  }
});
