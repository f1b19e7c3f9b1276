/**
 * A line that kills whoever runs it, on the real planner, runner, stores and disk. A worker that dies is one that
 * claimed and is never heard of again; the queue then hands its job to the next.
 */
import type { ChunkDelivery, ClaimedChunk } from '#database';
import { embeddingLine as line, openWorkerHarness, type WorkerHarness } from './worker-harness.ts';
import { buildChunkResult, type StoresFixture } from '../stores/stores-fixture.ts';

let mill: WorkerHarness;
let house: StoresFixture;
beforeAll(async () => {
  mill = await openWorkerHarness();
  ({ house } = mill);
});
afterAll(() => mill?.close());

/** Blank lines stand between the others: a half begins at a byte and a line number, not at a count. */
const textOf = (lines: number) =>
  Array.from({ length: lines }, (_, at) => `${line(at)}\n${at % 3 ? '' : '\n'}`).join('');

const holds = ({ batchId, chunk }: ChunkDelivery, byteOf: number) =>
  house.database
    .rows<{ there: boolean }>(
      `select $3::bigint >= byte_start and $3::bigint < byte_start + byte_length as there
       from chunks where batch_id = $1 and index = $2`,
      [batchId, chunk, byteOf],
    )
    .then(([row]) => row!.there);

/** Hands a job out until a worker lives through it: halves or records it, or finds no poison in it. */
async function deliver(delivery: ChunkDelivery, byteOf: number | null): Promise<number> {
  let deaths = 0;
  if (byteOf !== null && (await holds(delivery, byteOf))) {
    const [{ lines } = { lines: 0 }] = await house.database.rows<{ lines: number }>(
      'select lines from chunks where batch_id = $1 and index = $2',
      [delivery.batchId, delivery.chunk],
    );
    for (; deaths < (lines > 1 ? 3 : 10); deaths++) await house.chunks.claim(delivery, `dead-${deaths}`);
  }
  await mill.run(delivery);
  return deaths;
}

test('is halved out of its chunk and recorded alone; every other line is answered, each once', async () => {
  const [lines, poison] = [37, 21];
  const text = textOf(lines);
  const batchId = await mill.planned(text);
  const byteOf = Buffer.byteLength(text.slice(0, text.indexOf(`"row-${poison}"`)));
  let deaths = 0;
  for (;;) {
    const deliveries = await house.chunks.dispatch(8, 100);
    if (deliveries.length === 0) break;
    for (const delivery of deliveries) deaths += await deliver(delivery, byteOf);
    const [sums] = await house.database.rows<{ lines: number; done: number; chunks: number }>(
      `select sum(lines)::int as lines, count(*) filter (where status = 'done')::int as done,
         count(*)::int as chunks from chunks where batch_id = $1`,
      [batchId],
    );
    // At every moment: all lines are in some chunk, and the batch's counts are those of its chunks.
    expect(sums!.lines).toBe(lines);
    expect(await house.row(batchId)).toMatchObject({ chunkCount: sums!.chunks, chunksDone: sums!.done });
  }
  expect(await house.row(batchId)).toMatchObject({ status: 'completed', completed: lines - 1, failed: 1 });
  const answered = await mill.records(batchId, 'output_file_id');
  expect(new Set(answered.map((record) => record.custom_id)).size).toBe(lines - 1);
  expect(answered).toHaveLength(lines - 1);
  const refused = await mill.records(batchId, 'error_file_id');
  expect(refused.map((record) => [record.custom_id, record.error?.code])).toEqual([
    [`row-${poison}`, 'worker_crashed'],
  ]);
  // 3 for each halving on the way down to the line, and 10 for the line: of 37 lines no more than five halvings.
  expect(deaths).toBeLessThanOrEqual(5 * 3 + 10);
});

describe('halving', () => {
  const held = async (chunks = 2): Promise<{ batchId: string; chunk: ClaimedChunk }> => {
    await house.database.rows(`update batches set status = 'failed' where status <> 'failed'`);
    const batchId = await house.planned(await house.workspace(), chunks);
    const [delivery] = await house.chunks.dispatch(8, 100);
    return { batchId, chunk: (await house.chunks.claim(delivery!, 'worker-a'))! };
  };

  test('is for the attempt that holds the chunk, once, and leaves a line on each side', async () => {
    const { batchId, chunk } = await held();
    const keep = { lines: 5, bytes: 50 };
    expect(await house.chunks.split({ ...chunk, attempt: 9 }, keep, 6)).toBeNull();
    expect(await house.chunks.split(chunk, { lines: 10, bytes: 50 }, 6)).toBeNull();
    expect(await house.chunks.split(chunk, { lines: 5, bytes: 100 }, 6)).toBeNull();
    const tried = await Promise.all(Array.from({ length: 6 }, () => house.chunks.split(chunk, keep, 6)));
    expect(tried.filter((index) => index !== null)).toEqual([2]);
    expect(await house.row(batchId)).toMatchObject({ chunkCount: 3, chunksDone: 0 });
    // Whoever held it before is fenced out.
    expect(await house.chunks.commit(chunk, buildChunkResult(chunk))).toBeNull();
    const cut = await house.database.rows(
      `select index, first_line as "firstLine", lines, byte_start as "byteStart", byte_length as "byteLength"
       from chunks where batch_id = $1 order by first_line`,
      [batchId],
    );
    expect(cut).toEqual([
      { index: 0, firstLine: 1, lines: 5, byteStart: 0, byteLength: 50 },
      { index: 2, firstLine: 6, lines: 5, byteStart: 50, byteLength: 50 },
      { index: 1, firstLine: 11, lines: 10, byteStart: 100, byteLength: 100 },
    ]);
  });

  test('while the other chunks commit, exactly one commit is the last', async () => {
    const { batchId, chunk } = await held(6);
    const others = await house.database.rows<{ chunk: number; generation: number }>(
      `select index as chunk, generation from chunks where batch_id = $1 and status = 'queued'`,
      [batchId],
    );
    const claimed = await Promise.all(
      others.map((other) => house.chunks.claim({ batchId, ...other }, 'worker-b')),
    );
    const [, ...commits] = await Promise.all([
      house.chunks.split(chunk, { lines: 1, bytes: 10 }, 2),
      ...claimed.map((each) => house.chunks.commit(each!, buildChunkResult(each!))),
    ]);
    expect(commits.some((commit) => commit!.isLast)).toBe(false);
    const halves = await house.chunks.dispatch(8, 100);
    expect(halves.map(({ chunk: index }) => index).sort()).toEqual([0, 6]);
    const ends = await Promise.all(
      halves.map(async (half) => {
        const own = (await house.chunks.claim(half, 'worker-c'))!;
        expect(own.lostAttempts).toBe(0);
        return house.chunks.commit(own, buildChunkResult(own));
      }),
    );
    expect(ends.filter((end) => end!.isLast)).toHaveLength(1);
    expect(await house.row(batchId)).toMatchObject({ status: 'finalizing', completed: 60, chunksDone: 7 });
  });
});
