import { forEachSeed } from '../../../test/support/random.ts';
import { LineCounter } from './count-lines.ts';
import { findNearestLine, type LineIndex } from './line-index.ts';
import { PartLineCounter, numberPartLines, type PartLines } from './part-lines.ts';

function part(...pieces: Buffer[]): PartLines {
  const counter = new PartLineCounter();
  for (const piece of pieces) counter.add(piece);
  return counter.end();
}

function whole(bytes: Buffer) {
  const counter = new LineCounter();
  counter.add(bytes);
  counter.end();
  return { lines: counter.lines, bytes: counter.bytes };
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, each) => total + each, 0);
const parts = (...texts: (string | number[])[]) => texts.map((text) => part(Buffer.from(text as string)));
const countLines = (...texts: (string | number[])[]) =>
  sum(numberPartLines(parts(...texts)).map(({ lines }) => lines));

test('a line across two parts is counted once, in the part where it ends', () => {
  expect(numberPartLines(parts('a\nb', 'c', 'd\n', 'e'))).toEqual([
    { lines: 1, firstLine: 1 },
    { lines: 0, firstLine: null },
    { lines: 1, firstLine: 2 },
    { lines: 1, firstLine: null },
  ]);
  expect(countLines('a', '\n', '\n')).toBe(1);
  expect(countLines(' ', '\n', 'a', ' ')).toBe(1);
  expect(countLines('\n', '\r\n', ' ')).toBe(0);
});

test('a byte order mark at the start of the file is not text, however it is cut', () => {
  expect(countLines([0xef], [0xbb], [0xbf])).toBe(0);
  expect(countLines([0xef], [0xbb, 0xbf, 10, 97])).toBe(1);
  expect(countLines([0xef], [0xbb, 0xbf, 97, 10])).toBe(1);
  expect(countLines([0xef, 0xbb, 0xbf, 10], [0xef, 0xbb, 0xbf])).toBe(1);
  expect(countLines([10], [0xef, 0xbb, 0xbf])).toBe(1);
});

test('parts give the same counts as the whole file, wherever they are cut', () =>
  forEachSeed(2_000, (random) => {
    const pieces = ['\n', '\r\n', '\r', ' ', '\t', '{}', 'xyz', '\n\n\n', 'é', '\ufeff'];
    const text = Array.from({ length: random.int(1, 40) }, () => random.pick(pieces)).join('');
    const bytes = Buffer.from(random.int(0, 2) === 0 ? `\ufeff${text}` : text);
    const cut = random.splitBytes(bytes);
    const counted = cut.map((each) => part(...random.splitBytes(each)));
    expect({
      lines: sum(numberPartLines(counted).map(({ lines }) => lines)),
      bytes: sum(counted.map((each) => each.bytes)),
    }).toEqual(whole(bytes));
  }));

test('the index of the parts finds a line start at or before any line', () =>
  forEachSeed(20, (random) => {
    const lines = Array.from({ length: random.int(1, 6_000) }, () => 'x'.repeat(random.int(0, 300)));
    const starts: number[] = [];
    let end = 0;
    for (const line of lines) {
      starts.push(end);
      end += line.length + 1;
    }
    const counted = random
      .splitBytes(Buffer.from(lines.map((line) => `${line}\n`).join('')))
      .map((each) => part(...random.splitBytes(each)));
    let offset = 0;
    const index: LineIndex = numberPartLines(counted).flatMap(({ firstLine }, at) => {
      const { bytes, firstStart, entries } = counted[at]!;
      offset += bytes;
      return firstLine === null ? [] : [{ line: firstLine, offset: offset - bytes + firstStart, entries }];
    });
    for (let nth = 0; nth < 50; nth++) {
      const line = random.int(0, lines.length - 1);
      const found = findNearestLine(index, line);
      expect(found.line).toBeLessThanOrEqual(line);
      expect(line - found.line).toBeLessThan(1_024);
      expect(found.offset).toBe(starts[found.line]);
    }
  }));
