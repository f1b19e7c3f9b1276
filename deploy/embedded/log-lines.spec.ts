import { PassThrough } from 'node:stream';
import { forEachLine, prefixLines, formatLogLine } from './log-lines.ts';

const time = new Date(2026, 0, 2, 3, 4, 5, 6).getTime();

test('a JSON line of pino is formatted', () => {
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

test('the stack of an error follows its line, each line with the prefix', () => {
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

test.each(['plain', '{not json', '{"a":1}', ''])('any other line is unchanged: %j', (line) => {
  expect(formatLogLine(line, false)).toBe(line);
});

test('lines are assembled from pieces, and an endless line is truncated', async () => {
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
