import { ChatStream } from './chat-stream.ts';
import type { ResponseEvent } from './response-stream.ts';

const taskId = 'task_0123';
const output = (content: string, calls?: object[]) => ({
  choices: [{ index: 0, message: { content, ...(calls && { tool_calls: calls }) }, finish_reason: 'stop' }],
  usage: { total_tokens: 3 },
});
const open = (options: object = {}) => new ChatStream({ model: 'm', ...options }, taskId);
const delta = (text: string, attempt = 1, rest: object = {}) =>
  ({ kind: 'delta', attempt, delta: { text, ...rest } }) as const;

interface Chunk {
  readonly choices: { readonly delta: { readonly content?: string }; readonly finish_reason: unknown }[];
}
const readText = (events: readonly ResponseEvent[]) =>
  events.map(({ data }) => (data as Chunk).choices?.[0]?.delta.content ?? '').join('');

test('a stream begins with the role and ends with [DONE]', () => {
  const stream = open();
  expect(stream.begin()).toEqual([
    {
      data: {
        id: 'chatcmpl-0123',
        object: 'chat.completion.chunk',
        created: expect.any(Number),
        model: 'm',
        choices: [{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }],
      },
    },
  ]);
  const sent = [
    ...stream.addItem(delta('ab')),
    ...stream.addItem(delta('c', 1, { finishReason: 'stop' })),
    ...stream.complete(output('abc')),
  ];
  expect(readText(sent)).toBe('abc');
  expect(sent.map(({ data }) => (data as Chunk).choices?.[0]?.finish_reason)).toEqual([
    null,
    'stop',
    undefined,
  ]);
  expect(sent.at(-1)).toEqual({ data: '[DONE]' });
});

test.each(['gap', 'resync'] as const)('after a %s the rest comes from the stored output', (kind) => {
  const stream = open();
  const sent = [
    ...stream.addItem(delta('ab')),
    ...stream.addItem({ kind, attempt: 1 }),
    ...stream.addItem(delta('e')),
    ...stream.complete(output('abcde')),
  ];
  expect(readText(sent)).toBe('abcde');
  expect(sent.at(-1)).toEqual({ data: '[DONE]' });
});

test('a new attempt continues a stream that has sent no text, and replaces one whose text it repeats', () => {
  const empty = open();
  const sent = [...empty.addItem(delta('', 1)), ...empty.addItem(delta('ab', 2))];
  expect(readText([...sent, ...empty.complete(output('ab'))])).toBe('ab');

  const same = open();
  const first = [...same.addItem(delta('ab', 1)), ...same.addItem(delta('ab', 2))];
  expect(readText([...first, ...same.complete(output('abc'))])).toBe('abc');
});

test('an answer that does not begin with the text sent is an error', () => {
  const stream = open();
  stream.addItem(delta('ab'));
  const [event] = stream.complete(output('xyz'));
  expect(event!.data).toMatchObject({ error: { code: 'stream_interrupted', type: 'server_error' } });
});

test('tool calls that were not streamed are sent at the end, with their index', () => {
  const events = open().complete(output('', [{ id: 'a' }, { id: 'b' }]));
  expect(events[0]!.data).toMatchObject({
    choices: [
      {
        delta: {
          tool_calls: [
            { index: 0, id: 'a' },
            { index: 1, id: 'b' },
          ],
        },
      },
    ],
  });
});

test('usage is in the last chunk if the request asks for it', () => {
  const stream = open({ stream_options: { include_usage: true } });
  expect(stream.begin()[0]!.data).toMatchObject({ usage: null });
  expect(stream.complete(output('a')).at(-2)!.data).toMatchObject({
    choices: [],
    usage: { total_tokens: 3 },
  });
  expect(open().begin()[0]!.data).not.toHaveProperty('usage');
});

test('each choice begins with its role', () => {
  const stream = open({ n: 2 });
  const events = [
    ...stream.begin(),
    ...stream.addItem(delta('a', 1, { index: 0 })),
    ...stream.addItem(delta('b', 1, { index: 1 })),
    ...stream.addItem(delta('c', 1, { index: 1 })),
  ];
  const roles = events.map(({ data }) => (data as Chunk).choices[0]!.delta);
  expect(roles).toEqual([
    { role: 'assistant', content: '' },
    { content: 'a' },
    { role: 'assistant', content: 'b' },
    { content: 'c' },
  ]);
});

test('other fields of the delta, the choice and the chunk are sent, and after a gap taken from the output', () => {
  const logprobs = { content: [{ token: 'a' }] };
  const fields = { reasoning: 'Hm' };
  const item = { text: 'a', fields, choice: { logprobs }, chunk: { system_fingerprint: 'fp' } };
  const whole = {
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: 'ab', reasoning: 'Hmm', annotations: [1], refusal: null },
        finish_reason: 'stop',
        logprobs,
      },
    ],
    system_fingerprint: 'fp',
  };
  const live = open();
  const [event] = live.addItem({ kind: 'delta', attempt: 1, delta: item });
  expect(event!.data).toMatchObject({
    system_fingerprint: 'fp',
    choices: [{ delta: { content: 'a', reasoning: 'Hm' }, logprobs }],
  });
  const rest = [...live.addItem({ kind: 'gap', attempt: 1 }), ...live.complete(whole)];
  expect(rest[0]!.data).toMatchObject({
    choices: [{ delta: { content: 'b', reasoning: 'm', annotations: [1] } }],
  });
  expect(rest[0]!.data).not.toHaveProperty('choices.0.logprobs');
  expect(open().complete(whole)[0]!.data).toMatchObject({
    system_fingerprint: 'fp',
    choices: [{ delta: { content: 'ab', reasoning: 'Hmm' }, logprobs }],
  });
});

test('tool calls of which a part was sent are completed after a gap', () => {
  const stream = open();
  const piece = { index: 0, id: 'a', function: { name: 'f', arguments: '{"a' } };
  stream.addItem({ kind: 'delta', attempt: 1, delta: { toolCalls: [piece] } });
  stream.addItem({ kind: 'gap', attempt: 1 });
  const calls = [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{"a":1}' } }];
  const [event] = stream.complete({
    choices: [{ index: 0, message: { content: null, tool_calls: calls }, finish_reason: 'tool_calls' }],
  });
  expect(event!.data).toMatchObject({
    choices: [{ delta: { tool_calls: [{ index: 0, function: { arguments: '":1}' } }] } }],
  });
});
