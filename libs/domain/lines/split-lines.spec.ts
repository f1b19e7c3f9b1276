import { forEachSeed, type Random } from '../../../test/support/random.ts';
import { splitBufferLines, splitLines, type Line, type SplitOptions } from './split-lines.ts';

async function* of(pieces: Buffer[]) {
  yield* pieces;
}

async function split(pieces: Buffer[], options: SplitOptions): Promise<Line[]> {
  const lines: Line[] = [];
  for await (const some of splitLines(of(pieces), options)) {
    // A line's bytes may be a view of the read buffer, so copy them.
    lines.push(...some.map((line) => ({ ...line, bytes: line.bytes && Buffer.from(line.bytes) })));
  }
  return lines;
}

/** A simple reference implementation for both splitters. */
function naive(text: string, { maxBytes, firstLine = 1, start = 0 }: SplitOptions): Line[] {
  const lines: Line[] = [];
  let at = 0;
  for (const [index, whole] of (text.match(/[^\n]*\n|[^\n]+$/g) ?? []).entries()) {
    const bytes = Buffer.from(whole.replace(/\r?\n$|\r$/, ''), 'latin1');
    if (/[^ \t\r\n]/.test(whole)) {
      const kept = bytes.length > maxBytes ? null : bytes;
      lines.push({ number: firstLine + index, start: start + at, length: whole.length, bytes: kept });
    }
    at += whole.length;
  }
  return lines;
}

function randomText(random: Random): string {
  const parts = [
    '\n',
    '\r\n',
    '\r',
    ' ',
    '\t',
    '{}',
    'x',
    '\n\n',
    'a'.repeat(9),
    'b'.repeat(40),
    ' '.repeat(30),
  ];
  return Array.from({ length: random.int(0, 40) }, () => random.pick(parts)).join('');
}

test('agrees with the reference for any bytes, however they are cut', () =>
  forEachSeed(2_000, async (random) => {
    const text = randomText(random);
    const bytes = Buffer.from(text, 'latin1');
    const options = { maxBytes: random.int(1, 50), firstLine: random.int(1, 9), start: random.int(0, 99) };
    const expected = naive(text, options);
    expect([...splitBufferLines(bytes, options)]).toEqual(expected);
    expect(await split(random.splitBytes(bytes), options)).toEqual(expected);
  }));

test('numbers lines as an editor does, including blank lines', async () => {
  const lines = await split([Buffer.from('a\n\n\r\n b\r\nc')], { maxBytes: 10 });
  expect(lines.map(({ number, bytes }) => [number, bytes!.toString()])).toEqual([
    [1, 'a'],
    [4, ' b'],
    [5, 'c'],
  ]);
});

test('a line of the maximum length is returned with LF and with CRLF, one byte more is not', async () => {
  for (const end of ['', '\n', '\r\n']) {
    const lines = await split([Buffer.from(`1234${end}`)], { maxBytes: 4 });
    expect(lines[0]!.bytes?.toString()).toBe('1234');
    expect((await split([Buffer.from(`12345${end}`)], { maxBytes: 4 }))[0]!.bytes).toBeNull();
  }
});

test('holds no more than the maximum of an endless line in memory', async () => {
  const piece = Buffer.alloc(64 * 1024, 'x');
  let given = 0;
  async function* endless() {
    for (; given < 256 * 2 ** 20; given += piece.length) yield piece;
    yield Buffer.from('\n{}\n');
  }
  global.gc?.();
  const before = process.memoryUsage().arrayBuffers;
  let most = 0;
  const lines: Line[] = [];
  for await (const some of splitLines(endless(), { maxBytes: 2 ** 20 })) lines.push(...some);
  most = Math.max(most, process.memoryUsage().arrayBuffers - before);
  expect(lines.map(({ number, start, bytes }) => ({ number, start, bytes: bytes?.toString() }))).toEqual([
    { number: 1, start: 0, bytes: undefined },
    { number: 2, start: 256 * 2 ** 20 + 1, bytes: '{}' },
  ]);
  expect(lines[0]!.length).toBe(256 * 2 ** 20 + 1);
  expect(most).toBeLessThan(128 * 2 ** 20);
});
