/** What holds for every request schema: text that can't be stored is refused, null is absent, messages are for people. */
import { z } from 'zod';
import * as contracts from './index.ts';
import { explainIssues, findNearestName } from './index.ts';

const schemas = Object.entries(contracts as Record<string, unknown>)
  .filter(
    ([name, value]) => /(Body|Query|Fields|taskRequest|batchLine)$/.test(name) && value instanceof z.ZodType,
  )
  .map(([name, schema]) => [name, schema as z.ZodType] as const);

/** Content for a model, which is carried as JSON and never compared. */
const contentFields = new Set(['input', 'custom_id']);

interface Leaf {
  readonly path: string;
  readonly schema: z.ZodType;
  readonly isOptional: boolean;
}

/** @returns the fields of an object schema, at any depth, with unions, pipes and wrappers opened. */
function listFields(schema: z.ZodType, path: string): Leaf[] {
  const inner = open(schema);
  if (!(inner instanceof z.ZodObject)) return [];
  return Object.entries(inner.shape as Record<string, z.ZodType>).flatMap(([name, field]) => {
    const at = path ? `${path}.${name}` : name;
    const isOptional = field.safeParse(undefined).success;
    return [{ path: at, schema: field, isOptional }, ...listFields(field, at)];
  });
}

function open(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable)
    return open(schema.unwrap() as z.ZodType);
  if (schema instanceof z.ZodPipe) {
    const { in: input, out } = schema.def as unknown as { in: z.ZodType; out: z.ZodType };
    return open(input instanceof z.ZodTransform ? out : input);
  }
  return schema;
}

test('every request schema is checked', () => {
  expect(schemas.map(([name]) => name)).toEqual(expect.arrayContaining(['createBatchBody', 'usageQuery']));
  expect(schemas.length).toBeGreaterThan(20);
});

test.each(schemas)(
  '%s: NUL and lone surrogates are refused in every text, in lists and as names too',
  (_, schema) => {
    for (const { path, schema: field } of listFields(schema, '')) {
      if (contentFields.has(path.split('.').at(-1)!)) continue;
      for (const text of ['a\0b', '\ud800x', 'x\udc00']) {
        for (const value of [text, [text], { [text]: 'x' }, { x: text }]) {
          const parsed = field.safeParse(value);
          // Free-form objects carry what a provider takes.
          const isFreeForm =
            typeof value === 'object' && !Array.isArray(value) && /options|provider|body/.test(path);
          if (!isFreeForm) expect([path, value, parsed.success]).toEqual([path, value, false]);
        }
      }
    }
  },
);

test.each(schemas)('%s: null counts as absent wherever absence is allowed', (_, schema) => {
  for (const { path, schema: field, isOptional } of listFields(schema, '')) {
    if (isOptional && path !== 'metadata')
      expect([path, field.safeParse(null).success]).toEqual([path, true]);
  }
});

/** Words of the schema library that no client should read. */
const libraryWords = /Invalid|expected|received|NaN|Too (?:big|small)|Unrecognized|undefined|<=|>=/;

test.each(schemas)('%s: its messages are sentences about the field', (_, schema) => {
  const odd = [
    undefined,
    null,
    true,
    7,
    -7,
    1.5,
    1e9,
    '',
    'x',
    'x'.repeat(5_000),
    [],
    [7],
    {},
    { x: 7 },
    { x: 'y' },
  ];
  const messages = new Set<string>();
  const collect = (each: z.ZodType, value: unknown) => {
    const { error } = each.safeParse(value);
    for (const issue of error?.issues ?? []) messages.add(explainIssues([issue]).message);
  };
  for (const value of odd) {
    collect(schema, value);
    for (const { schema: field } of listFields(schema, '')) collect(field, value);
  }
  expect([...messages].filter((message) => libraryWords.test(message))).toEqual([]);
  for (const message of messages) expect(message).toMatch(/^('[^']*'|The request is not accepted): .*[.?]$/s);
});

const explain = (schema: z.ZodType, value: unknown) => explainIssues(schema.safeParse(value).error!.issues);

test.each<[z.ZodType, unknown, string, string]>([
  [contracts.usageQuery, {}, 'start_time', "'start_time': it is required"],
  [
    contracts.createTaskBody,
    { model: 'm', input: {}, priority: 5 },
    'priority',
    'a whole number from -100 to 0.',
  ],
  [
    contracts.createBatchBody,
    { input_file_id: 'f', endpoint: '/v1/embeddings', completion_window: '24h', prioritty: 3 },
    'prioritty',
    "did you mean 'priority'?",
  ],
  [
    contracts.embeddingsBody,
    { model: 'm', input: 'a', dimension: 8 },
    'dimension',
    "did you mean 'dimensions'?",
  ],
  [contracts.createTaskBody, { modle: 'm', input: {} }, 'modle', "did you mean 'model'?"],
  [contracts.createTaskBody, { input: {} }, 'model', "'model': it is required."],
  [contracts.createTaskBody, { model: 'm', input: 7 }, 'input', 'it must be an object, not a number.'],
  [
    contracts.createTaskBody,
    { model: 'm', input: {}, metadata: { ['k'.repeat(65)]: 'v' } },
    'metadata',
    '64 characters',
  ],
  [
    contracts.chatInput,
    { messages: [{ role: 'usr', content: 'x' }] },
    'messages.0.role',
    'system, developer, user',
  ],
  [
    contracts.chatInput,
    { messages: [{ role: 'user', content: [{ type: 'txt', text: 'x' }] }] },
    'messages.0.content.0.type',
    'it must be one of text, image_url',
  ],
])('%# names the field and what it must be', (schema, value, param, message) => {
  const explained = explain(schema, value);
  expect(explained.param).toBe(param);
  expect(explained.message).toContain(message);
});

test.each([
  ['dimension', 'dimensions'],
  ['encodingFormat', 'encoding_format'],
  ['moedl', 'model'],
  ['prompt', null],
  ['', null],
  ['x', null],
])('%s is nearest to %s', (name, nearest) => {
  expect(findNearestName(name, ['dimensions', 'encoding_format', 'model', 'input'])).toBe(nearest);
});

test('a replayed history with nulls is the same as without them', () => {
  const parsed = contracts.chatInput.parse({
    messages: [{ role: 'assistant', content: 'x', tool_calls: null, name: null }],
    ...{ tools: null, tool_choice: null, response_format: null, user: null, seed: null, temperature: null },
  });
  expect(JSON.parse(JSON.stringify(parsed))).toEqual({ messages: [{ role: 'assistant', content: 'x' }] });
});

test('fields that Millrace does not know are kept at any depth of a chat', () => {
  const chat = {
    messages: [
      {
        role: 'user',
        content: [{ type: 'text', text: 'a', cache_control: { type: 'ephemeral' } }],
        extra: 1,
      },
      { role: 'assistant', content: 'b', prefix: true, reasoning_content: 'r' },
      { role: 'tool', content: 'c', tool_call_id: 't', name: 'f' },
      {
        role: 'assistant',
        content: null,
        tool_calls: [
          { id: 't', type: 'function', function: { name: 'f', arguments: '{}', strict: true }, index: 0 },
        ],
      },
    ],
    tools: [{ type: 'function', function: { name: 'f', parameters: {}, strict: true }, cache_control: {} }],
    reasoning_effort: 'low',
  };
  expect(contracts.chatInput.parse(structuredClone(chat))).toEqual(chat);
});
