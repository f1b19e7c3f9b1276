import { PassThrough } from 'node:stream';
import { forEachLine, prefixLines, formatLogLine } from './log-lines.ts';

const time = new Date(2026, 0, 2, 3, 4, 5, 6).getTime();

test('a line of pino’s becomes readable', () => {
  const line = JSON.stringify({
    level: 'info',
    time,
    service: 'api',
    batchId: 'batch_1',
    n: 3,
    why: 'two words',
    msg: 'ready',
  });
  expect(formatLogLine(line, false)).toBe('03:04:05.006 INFO  ready batchId=batch_1 n=3 why="two words"');
  expect(formatLogLine(line, true)).toContain('\x1b[32mINFO');
});

test('an error’s stack stands below, each line prefixed', () => {
  const line = JSON.stringify({
    level: 'error',
    time,
    err: { message: 'm', stack: 'Error: m\n  at x' },
    msg: 'failed',
  });
  expect(prefixLines('api', formatLogLine(line, false), false)).toBe(
    'api      │ 03:04:05.006 ERROR failed\napi      │     Error: m\napi      │       at x',
  );
});

test.each(['plain', '{not json', '{"a":1}', ''])('another line stays as it is: %j', (line) => {
  expect(formatLogLine(line, false)).toBe(line);
});

test('lines are put together from pieces, and one without an end is cut', async () => {
  const stream = new PassThrough();
  const lines: string[] = [];
  forEachLine(stream, (line) => lines.push(line));
  stream.write('a\nb');
  stream.write(Buffer.from('ü').subarray(0, 1));
  stream.write(Buffer.from('ü').subarray(1));
  stream.write('\n');
  stream.write('x'.repeat(1_000_001));
  stream.end('last');
  await new Promise((done) => stream.on('close', done));
  expect(lines.slice(0, 2)).toEqual(['a', 'bü']);
  expect(lines.slice(2).map((line) => line.length)).toEqual([1_000_000, 4]);
});
