import { planCompose, type Slice } from './compose-plan.ts';

const MiB = 1024 ** 2;
const GiB = 1024 ** 3;

function slicesOf(parts: ReturnType<typeof planCompose>): Slice[] {
  return parts.flatMap((part) => (part.kind === 'copy' ? [part.slice] : part.slices));
}

const bytesOf = (slices: readonly Slice[]) =>
  slices.reduce((sum, { start, end }) => sum + end - start + 1, 0);

/** What S3 demands of the parts, and that they are all the bytes in their order. */
function check(sizes: readonly number[]): ReturnType<typeof planCompose> {
  const parts = planCompose(sizes);
  expect(parts.length).toBeLessThanOrEqual(10_000);
  const held = parts.map((part) => bytesOf(part.kind === 'copy' ? [part.slice] : part.slices));
  for (const bytes of held.slice(0, -1)) expect(bytes).toBeGreaterThanOrEqual(8 * MiB);
  for (const part of parts)
    if (part.kind === 'copy') expect(bytesOf([part.slice])).toBeLessThanOrEqual(5 * GiB);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const most = 2 * Math.max(8 * MiB, Math.ceil(total / 9_999));
  for (const part of parts) if (part.kind === 'gather') expect(bytesOf(part.slices)).toBeLessThan(most);
  // One slice begins where the other ends, counted through all sources; compared at once, as there may be many.
  let before = 0;
  const offsets = sizes.map((size) => (before += size) - size);
  const starts = slicesOf(parts).map(({ index, start }) => offsets[index]! + start);
  const ends = slicesOf(parts).map(({ index, end }) => offsets[index]! + end + 1);
  expect(starts).toEqual([0, ...ends].slice(0, starts.length));
  expect(slicesOf(parts).every(({ index, end }) => end < sizes[index]!)).toBe(true);
  expect(bytesOf(slicesOf(parts))).toBe(total);
  return parts;
}

test('nothing is no parts', () => {
  expect(planCompose([])).toEqual([]);
  expect(planCompose([0, 0])).toEqual([]);
});

test('large sources are copied, small ones gathered', () => {
  const kinds = (sizes: number[]) => check(sizes).map(({ kind }) => kind);
  expect(kinds([8 * MiB, 9 * MiB, 100 * MiB])).toEqual(['copy', 'copy', 'copy']);
  expect(kinds([1, 2, 3])).toEqual(['gather']);
  expect(kinds([20 * MiB, 5])).toEqual(['copy', 'gather']);
  // A small one before a large one takes what it lacks from it; the rest is copied where that is enough for a part.
  expect(kinds([5, 20 * MiB])).toEqual(['gather', 'copy']);
  expect(kinds([5, 9 * MiB, 9 * MiB])).toEqual(['gather', 'copy']);
  expect(kinds([12 * GiB])).toEqual(['copy', 'copy', 'copy']);
});

test('ten thousand parts are enough for anything', () => {
  check(Array.from({ length: 30_000 }, () => 8 * MiB));
  check(Array.from({ length: 40_000 }, (_, at) => (at % 7) * MiB));
  check([200 * GiB, 1, 200 * GiB]);
});

test.each([1, 2, 3, 4, 5, 6, 7, 8])('whatever the sizes (seed %i)', (seed) => {
  let state = seed * 2654435761;
  const random = () => (state = (state * 1103515245 + 12345) % 2 ** 31) / 2 ** 31;
  for (let round = 0; round < 50; round++) {
    const scale = [100, MiB, 20 * MiB, 6 * GiB][Math.floor(random() * 4)]!;
    check(
      Array.from({ length: Math.floor(random() * 60) }, () =>
        random() < 0.2 ? 0 : Math.floor(random() * scale),
      ),
    );
  }
});
