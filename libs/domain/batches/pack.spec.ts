import { forEachSeed } from '../../../test/support/random.ts';
import { pack, type Packable, type PackLimits } from './pack.ts';

interface Item extends Packable {
  readonly number: number;
}

test('packs every line once, in order within a key, within the limits or alone, with one key per call', () =>
  forEachSeed(300, (random) => {
    const limits = { maxTokens: random.int(1, 100), maxItems: random.int(1, 10) };
    const lines: Item[] = Array.from({ length: random.int(0, 200) }, (_, number) => ({
      number,
      key: random.pick(['', 'a', '__proto__']),
      tokens: random.int(0, 130),
      items: random.int(1, 12),
    }));
    const calls = [...pack(lines, limits)];
    expect(
      calls
        .flat()
        .map(({ number }) => number)
        .sort((a, b) => a - b),
    ).toEqual(lines.map(({ number }) => number));
    for (const call of calls) {
      expect(new Set(call.map(({ key }) => key)).size).toBe(1);
      const tokens = call.reduce((sum, line) => sum + line.tokens, 0);
      const items = call.reduce((sum, line) => sum + line.items, 0);
      if (call.length > 1) {
        expect(tokens).toBeLessThanOrEqual(limits.maxTokens);
        expect(items).toBeLessThanOrEqual(limits.maxItems);
      }
    }
    for (const key of new Set(lines.map((line) => line.key))) {
      const numbers = calls.flat().filter((line) => line.key === key);
      expect(numbers).toEqual(lines.filter((line) => line.key === key));
    }
  }));

test('consecutive lines share a call up to the limits', () => {
  const line = { key: '', tokens: 4, items: 1 };
  const lengths = (limits: PackLimits) => [...pack(Array(5).fill(line), limits)].map((call) => call.length);
  expect(lengths({ maxTokens: 8, maxItems: 10 })).toEqual([2, 2, 1]);
  expect(lengths({ maxTokens: 99, maxItems: 3 })).toEqual([3, 2]);
});

test('reads no more lines than the requested calls need', () => {
  let taken = 0;
  function* endless() {
    for (;;) yield { key: '', tokens: 1, items: ++taken > 0 ? 1 : 0 };
  }
  const calls = pack(endless(), { maxTokens: 99, maxItems: 3 });
  calls.next();
  expect(taken).toBe(4);
});

test('with sortWithin, lines of similar length share a call, and read-ahead is limited', () => {
  const lengths = [1, 9, 2, 8, 3, 7, 1, 9];
  const lines = lengths.map((tokens) => ({ key: '', tokens, items: 1 }));
  const calls = (limits: PackLimits) =>
    [...pack(lines, limits)].map((call) => call.map(({ tokens }) => tokens));
  expect(calls({ maxTokens: 99, maxItems: 2, sortWithin: 8 })).toEqual([
    [9, 9],
    [8, 7],
    [3, 2],
    [1, 1],
  ]);
  expect(calls({ maxTokens: 99, maxItems: 2, sortWithin: 4 })).toEqual([
    [9, 8],
    [2, 1],
    [9, 7],
    [3, 1],
  ]);

  let taken = 0;
  function* long() {
    for (; ; taken++) yield { key: '', tokens: 1_000, items: 1 };
  }
  pack(long(), { maxTokens: 1_000, maxItems: 8, sortWithin: 1e6 }).next();
  expect(taken).toBeLessThan(100);
});
