import type { StreamItem } from './bus.ts';
import { StreamReader, createStreamWriter, type StreamMessage } from './streams.ts';

function stream(attempt = 1) {
  const sent: StreamMessage[] = [];
  return { writer: createStreamWriter(attempt, (message) => sent.push(message)), sent };
}

function read(messages: StreamMessage[]): StreamItem[] {
  const items: StreamItem[] = [];
  const reader = new StreamReader((item) => items.push(item));
  for (const message of messages) reader.read(message);
  return items;
}

test('the reader gets the deltas in order, and the end', () => {
  const { writer, sent } = stream();
  writer.send('a');
  writer.send('b');
  writer.end();
  expect(read(sent)).toEqual([
    { kind: 'delta', attempt: 1, number: 1, delta: 'a' },
    { kind: 'delta', attempt: 1, number: 2, delta: 'b' },
    { kind: 'end', attempt: 1, last: 2 },
  ]);
});

test('a gap is reported before the next delta, also at the start and before the end', () => {
  const { writer, sent } = stream();
  for (const delta of ['a', 'b', 'c', 'd', 'e', 'f']) writer.send(delta);
  writer.end();
  const arrived = [sent[1]!, sent[4]!, sent[6]!];
  expect(read(arrived)).toEqual([
    { kind: 'gap', attempt: 1, from: 1, to: 1 },
    { kind: 'delta', attempt: 1, number: 2, delta: 'b' },
    { kind: 'gap', attempt: 1, from: 3, to: 4 },
    { kind: 'delta', attempt: 1, number: 5, delta: 'e' },
    { kind: 'gap', attempt: 1, from: 6, to: 6 },
    { kind: 'end', attempt: 1, last: 6 },
  ]);
});

test('a newer attempt restarts the stream; deltas of the older attempt and duplicates are dropped', () => {
  const [older, newer] = [stream(1), stream(2)];
  older.writer.send('old 1');
  older.writer.send('old 2');
  newer.writer.send('new 1');
  const items = read([older.sent[0]!, newer.sent[0]!, older.sent[1]!, newer.sent[0]!]);
  expect(items.map((item) => item.kind === 'delta' && item.delta)).toEqual(['old 1', 'new 1']);
});

test('nothing is sent after the end', () => {
  const { writer, sent } = stream();
  writer.end();
  expect(writer.send('late')).toBe(0);
  writer.end();
  expect(sent).toHaveLength(1);
});

test('a resync contains the number of the last delta that was read', () => {
  const items: StreamItem[] = [];
  const reader = new StreamReader((item) => items.push(item));
  reader.read({ a: 3, n: 1, d: 'x' });
  reader.onMissed();
  expect(items.at(-1)).toEqual({ kind: 'resync', attempt: 3, after: 1 });
});
