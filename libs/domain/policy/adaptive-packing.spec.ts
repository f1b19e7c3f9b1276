import { pack } from '../batches/pack.ts';
import { AdaptivePacking } from './adaptive-packing.ts';
import { splitUntilSettled } from './split-until-settled.ts';

test('shrinks to half of a call that was too large, doubles as calls succeed, and never exceeds its limits', () => {
  const packing = new AdaptivePacking(() => ({ maxItems: 256, maxTokens: 1_000 }));
  packing.shrink({ items: 256 });
  expect([packing.maxItems, packing.maxTokens]).toEqual([128, 500]);
  packing.shrink({ items: 256 }); // Packed before the first shrink.
  expect(packing.maxItems).toBe(128);
  packing.shrink({ items: 100 });
  expect(packing.maxItems).toBe(50);
  for (let calls = 0; calls < 8; calls++) packing.grow();
  expect(packing.maxItems).toBe(100);
  for (let calls = 0; calls < 100; calls++) packing.grow();
  expect(packing.maxItems).toBe(256);
  for (let times = 0; times < 20; times++) packing.shrink({ items: 1 });
  expect(packing.maxItems).toBe(1);
});

test('calls that are packed after a shrink are smaller at once', () => {
  const packing = new AdaptivePacking(() => ({ maxItems: 4, maxTokens: 100 }));
  const calls = pack(Array(8).fill({ key: '', tokens: 1, items: 1 }), packing);
  expect(calls.next().value).toHaveLength(4);
  packing.shrink({ items: 4 });
  expect([...calls].map((call) => call.length)).toEqual([2, 2]);
});

test('lines are sorted by length when the provider sets sortWithin', () => {
  const packing = new AdaptivePacking(() => ({ maxItems: 2, maxTokens: 100, sortWithin: 8 }));
  const lines = [9, 1, 8, 2].map((tokens) => ({ key: '', tokens, items: 1 }));
  expect([...pack(lines, packing)].map((call) => call.map(({ tokens }) => tokens))).toEqual([
    [9, 8],
    [2, 1],
  ]);
});

test('the input at fault is isolated in about 2 log2(n) calls, and all others are settled', async () => {
  const settled: number[] = [];
  const alone: number[] = [];
  let calls = 0;
  await splitUntilSettled(
    Array.from({ length: 256 }, (_, at) => at),
    async (items) => {
      calls++;
      const isBad = items.includes(77);
      if (!isBad) settled.push(...items);
      else if (items.length === 1) alone.push(...items);
      return { settled: !isBad, failed: isBad, usedAttempts: 0 };
    },
  );
  expect(alone).toEqual([77]);
  expect(settled).toHaveLength(255);
  expect(calls).toBe(1 + 2 * 8);
});

test('a limit of inputs a call that is answered as an invalid input is learned, and rarely tried again', async () => {
  const limit = 32;
  const packing = new AdaptivePacking(() => ({ maxItems: 256, maxTokens: 1e9 }));
  let calls = 0;
  let refused = 0;
  for (let left = 9_000; left > 0;) {
    const items = Array.from({ length: Math.min(left, packing.maxItems) }, (_, at) => at);
    left -= items.length;
    await splitUntilSettled(
      items,
      async (some) => {
        calls++;
        const isRefused = some.length > limit;
        if (isRefused) refused++;
        else packing.grow();
        return { settled: !isRefused, failed: isRefused, usedAttempts: 0 };
      },
      (tooMany) => packing.shrink({ items: tooMany }),
    );
  }
  expect(packing.maxItems).toBe(limit);
  expect(refused / calls).toBeLessThan(0.05);
});

test('an input at fault does not make the calls smaller', async () => {
  const packing = new AdaptivePacking(() => ({ maxItems: 256, maxTokens: 1e9 }));
  await splitUntilSettled(
    Array.from({ length: 256 }, (_, at) => at),
    async (some) => {
      const isBad = some.includes(77);
      return { settled: !isBad, failed: isBad, usedAttempts: 0 };
    },
    (tooMany) => packing.shrink({ items: tooMany }),
  );
  expect(packing.maxItems).toBe(256);
});
