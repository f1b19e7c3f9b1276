import { forEachSeed } from '../../../test/support/random.ts';
import { countLines, LineCounter } from './count-lines.ts';
import { findNearestLine } from './line-index.ts';
import { splitBufferLines } from './split-lines.ts';

function count(...pieces: (string | Buffer)[]) {
  const counter = new LineCounter();
  for (const piece of pieces) counter.add(Buffer.from(piece as string));
  const index = counter.end();
  return { lines: counter.lines, bytes: counter.bytes, index };
}

test('counts the lines that are not blank', () => {
  expect(count()).toMatchObject({ lines: 0, bytes: 0 });
  expect(count('\n\n\r\n \t\n').lines).toBe(0);
  expect(count('a').lines).toBe(1);
  expect(count('a\n').lines).toBe(1);
  expect(count('a\r\nb').lines).toBe(2);
  expect(count('a\rb\r').lines).toBe(1);
});

test('a byte order mark is not text, wherever the reads are cut', () => {
  const mark = Buffer.from([0xef, 0xbb, 0xbf]);
  expect(count(mark).lines).toBe(0);
  expect(count(mark, '\n\n').lines).toBe(0);
  expect(count(mark.subarray(0, 1), mark.subarray(1), 'a\n').lines).toBe(1);
  // Only the first one is a byte order mark.
  expect(count(mark, mark).lines).toBe(1);
  expect(count('a\n', mark).lines).toBe(2);
});

test('gives the same result however the bytes are cut, and agrees with splitLines', () =>
  forEachSeed(1_000, (random) => {
    const parts = ['\n', '\r\n', '\r', ' ', '\t', '{}', 'xyz', '\n\n\n'];
    const text = Array.from({ length: random.int(0, 60) }, () => random.pick(parts)).join('');
    const whole = count(text);
    expect(count(...random.splitBytes(Buffer.from(text)))).toEqual(whole);
    expect(whole.lines).toBe([...splitBufferLines(Buffer.from(text), { maxBytes: 99 })].length);
  }));

test('the index finds a line start at or before any line', () =>
  forEachSeed(20, (random) => {
    const lines = Array.from({ length: random.int(1, 6_000) }, () => 'x'.repeat(random.int(0, 300)));
    const starts: number[] = [];
    let offset = 0;
    for (const line of lines) {
      starts.push(offset);
      offset += line.length + 1;
    }
    const { index: entries } = count(
      ...random.splitBytes(Buffer.from(lines.map((line) => `${line}\n`).join(''))),
    );
    const index = [{ line: 0, offset: 0, entries }];
    for (let nth = 0; nth < 50; nth++) {
      const line = random.int(0, lines.length - 1);
      const found = findNearestLine(index, line);
      expect(found.line).toBeLessThanOrEqual(line);
      expect(line - found.line).toBeLessThan(1_024);
      expect(found.offset).toBe(starts[found.line]);
    }
  }));

test('a truncated index is read up to its end', () => {
  const { index } = count('x\n'.repeat(5_000));
  const cut = [{ line: 0, offset: 0, entries: index.subarray(0, 3) }];
  expect(findNearestLine(cut, 4_999).line).toBeLessThanOrEqual(4_999);
});

test('passes the bytes through unchanged', async () => {
  const counter = new LineCounter();
  const pieces = [Buffer.from('a\n'), Buffer.from('b')];
  async function* source() {
    yield* pieces;
  }
  const passed: Uint8Array[] = [];
  for await (const piece of countLines(source(), counter)) passed.push(piece);
  expect(passed).toEqual(pieces);
  counter.end();
  expect(counter).toMatchObject({ lines: 2, bytes: 3 });
});
