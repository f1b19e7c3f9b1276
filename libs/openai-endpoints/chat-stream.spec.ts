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
