import { planCompose, type Slice } from './compose-plan.ts';

const MiB = 1024 ** 2;
const GiB = 1024 ** 3;

function listSlices(parts: ReturnType<typeof planCompose>): Slice[] {
  return parts.flatMap((part) => (part.kind === 'copy' ? [part.slice] : part.slices));
}

const sumBytes = (slices: readonly Slice[]) =>
  slices.reduce((sum, { start, end }) => sum + end - start + 1, 0);

/** Checks that the parts are within the limits of S3 and have all bytes in order. */
function planAndCheck(sizes: readonly number[]): ReturnType<typeof planCompose> {
  const parts = planCompose(sizes);
  expect(parts.length).toBeLessThanOrEqual(10_000);
  const partSizes = parts.map((part) => sumBytes(part.kind === 'copy' ? [part.slice] : part.slices));
  for (const bytes of partSizes.slice(0, -1)) expect(bytes).toBeGreaterThanOrEqual(8 * MiB);
  for (const part of parts)
    if (part.kind === 'copy') expect(sumBytes([part.slice])).toBeLessThanOrEqual(5 * GiB);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const maxGatherBytes = 2 * Math.max(8 * MiB, Math.ceil(total / 9_999));
  for (const part of parts)
    if (part.kind === 'gather') expect(sumBytes(part.slices)).toBeLessThan(maxGatherBytes);
  // Each slice begins where the one before it ends. Compared as arrays, because there may be many.
  let before = 0;
  const offsets = sizes.map((size) => (before += size) - size);
  const starts = listSlices(parts).map(({ index, start }) => offsets[index]! + start);
  const ends = listSlices(parts).map(({ index, end }) => offsets[index]! + end + 1);
  expect(starts).toEqual([0, ...ends].slice(0, starts.length));
  expect(listSlices(parts).every(({ index, end }) => end < sizes[index]!)).toBe(true);
  expect(sumBytes(listSlices(parts))).toBe(total);
  return parts;
}

test('no bytes have no parts', () => {
  expect(planCompose([])).toEqual([]);
  expect(planCompose([0, 0])).toEqual([]);
});

test('large sources are copied, small ones are gathered', () => {
  const kinds = (sizes: number[]) => planAndCheck(sizes).map(({ kind }) => kind);
  expect(kinds([8 * MiB, 9 * MiB, 100 * MiB])).toEqual(['copy', 'copy', 'copy']);
  expect(kinds([1, 2, 3])).toEqual(['gather']);
  expect(kinds([20 * MiB, 5])).toEqual(['copy', 'gather']);
  // A small source takes the rest of its part from the large one after it, which is copied if enough is left.
  expect(kinds([5, 20 * MiB])).toEqual(['gather', 'copy']);
  expect(kinds([5, 9 * MiB, 9 * MiB])).toEqual(['gather', 'copy']);
  expect(kinds([12 * GiB])).toEqual(['copy', 'copy', 'copy']);
});

test('there are never more than 10,000 parts', () => {
  planAndCheck(Array.from({ length: 30_000 }, () => 8 * MiB));
  planAndCheck(Array.from({ length: 40_000 }, (_, at) => (at % 7) * MiB));
  planAndCheck([200 * GiB, 1, 200 * GiB]);
});

test.each([1, 2, 3, 4, 5, 6, 7, 8])('random sizes (seed %i)', (seed) => {
  let state = seed * 2654435761;
  const random = () => (state = (state * 1103515245 + 12345) % 2 ** 31) / 2 ** 31;
  for (let round = 0; round < 50; round++) {
    const scale = [100, MiB, 20 * MiB, 6 * GiB][Math.floor(random() * 4)]!;
    planAndCheck(
      Array.from({ length: Math.floor(random() * 60) }, () =>
        random() < 0.2 ? 0 : Math.floor(random() * scale),
      ),
    );
  }
});
