/**
 * A line that kills every worker that runs it, with the real planner, runner, stores and disk. A dead worker is one that
 * claimed a chunk and does nothing more; the queue then delivers the chunk to the next worker.
 */
import type { QueuedChunk, ClaimedChunk } from '#database';
import { embeddingLine, openWorkerHarness, type WorkerHarness } from './worker-harness.ts';
import { buildChunkResult, type StoresFixture } from '../stores/stores-fixture.ts';

let harness: WorkerHarness;
let stores: StoresFixture;
beforeAll(async () => {
  harness = await openWorkerHarness();
  ({ stores } = harness);
});
afterAll(() => harness?.close());

/** With blank lines between the others, because a half starts at a byte offset and a line number, not at a count. */
const buildText = (lines: number) =>
  Array.from({ length: lines }, (_, at) => `${embeddingLine(at)}\n${at % 3 ? '' : '\n'}`).join('');

const containsByte = ({ batchId, chunk }: QueuedChunk, poisonByte: number) =>
  stores.database
    .rows<{ there: boolean }>(
      `select $3::bigint >= byte_start and $3::bigint < byte_start + byte_length as there
       from chunks where batch_id = $1 and index = $2`,
      [batchId, chunk, poisonByte],
    )
    .then(([row]) => row!.there);

/** Delivers a chunk until a worker survives it: by a split, by recording the line as failed, or without the poison. */
async function deliver(queued: QueuedChunk, poisonByte: number | null): Promise<number> {
  let deaths = 0;
  if (poisonByte !== null && (await containsByte(queued, poisonByte))) {
    const [{ lines } = { lines: 0 }] = await stores.database.rows<{ lines: number }>(
      'select lines from chunks where batch_id = $1 and index = $2',
      [queued.batchId, queued.chunk],
    );
    for (; deaths < (lines > 1 ? 3 : 10); deaths++) await stores.chunks.claim(queued, `dead-${deaths}`);
  }
  await harness.run(queued);
  return deaths;
}

test('a poison line is isolated by splits and recorded as failed, and every other line is answered once', async () => {
  const [lines, poison] = [37, 21];
  const text = buildText(lines);
  const batchId = await harness.createPlannedBatch(text);
  const poisonByte = Buffer.byteLength(text.slice(0, text.indexOf(`"row-${poison}"`)));
  let deaths = 0;
  for (;;) {
    const queuedChunks = await stores.chunkQueue.dispatch(8, 100);
    if (queuedChunks.length === 0) break;
    for (const queued of queuedChunks) deaths += await deliver(queued, poisonByte);
    const [sums] = await stores.database.rows<{ lines: number; done: number; chunks: number }>(
      `select sum(lines)::int as lines, count(*) filter (where status = 'done')::int as done,
         count(*)::int as chunks from chunks where batch_id = $1`,
      [batchId],
    );
    // At any time, all lines are in some chunk, and the batch's counts match its chunks.
    expect(sums!.lines).toBe(lines);
    expect(await stores.getBatchRow(batchId)).toMatchObject({
      chunkCount: sums!.chunks,
      chunksDone: sums!.done,
    });
  }
  expect(await stores.getBatchRow(batchId)).toMatchObject({
    status: 'completed',
    completed: lines - 1,
    failed: 1,
  });
  const answered = await harness.readRecords(batchId, 'output_file_id');
  expect(new Set(answered.map((record) => record.custom_id)).size).toBe(lines - 1);
  expect(answered).toHaveLength(lines - 1);
  const failed = await harness.readRecords(batchId, 'error_file_id');
  expect(failed.map((record) => [record.custom_id, record.error?.code])).toEqual([
    [`row-${poison}`, 'worker_crashed'],
  ]);
  // 3 deaths per split and 10 for the line alone. 37 lines take at most five splits.
  expect(deaths).toBeLessThanOrEqual(5 * 3 + 10);
});

describe('split', () => {
  const claimChunk = async (chunks = 2): Promise<{ batchId: string; chunk: ClaimedChunk }> => {
    await stores.database.rows(`update batches set status = 'failed' where status <> 'failed'`);
    const batchId = await stores.createPlannedBatch(await stores.createWorkspace(), chunks);
    const [queued] = await stores.chunkQueue.dispatch(8, 100);
    return { batchId, chunk: (await stores.chunks.claim(queued!, 'worker-a'))! };
  };

  test('works once, only for the current attempt, and leaves at least one line on each side', async () => {
    const { batchId, chunk } = await claimChunk();
    const kept = { lines: 5, bytes: 50 };
    expect(await stores.chunks.split({ ...chunk, attempt: 9 }, kept, 6)).toBeNull();
    expect(await stores.chunks.split(chunk, { lines: 10, bytes: 50 }, 6)).toBeNull();
    expect(await stores.chunks.split(chunk, { lines: 5, bytes: 100 }, 6)).toBeNull();
    const results = await Promise.all(Array.from({ length: 6 }, () => stores.chunks.split(chunk, kept, 6)));
    expect(results.filter((index) => index !== null)).toEqual([2]);
    expect(await stores.getBatchRow(batchId)).toMatchObject({ chunkCount: 3, chunksDone: 0 });
    // The attempt from before the split is superseded.
    expect(await stores.chunks.commit(chunk, buildChunkResult(chunk))).toBeNull();
    const rows = await stores.database.rows(
      `select index, first_line as "firstLine", lines, byte_start as "byteStart", byte_length as "byteLength"
       from chunks where batch_id = $1 order by first_line`,
      [batchId],
    );
    expect(rows).toEqual([
      { index: 0, firstLine: 1, lines: 5, byteStart: 0, byteLength: 50 },
      { index: 2, firstLine: 6, lines: 5, byteStart: 50, byteLength: 50 },
      { index: 1, firstLine: 11, lines: 10, byteStart: 100, byteLength: 100 },
    ]);
  });

  test('while other chunks commit, exactly one commit is the last', async () => {
    const { batchId, chunk } = await claimChunk(6);
    const others = await stores.database.rows<{ chunk: number; generation: number }>(
      `select index as chunk, generation from chunks where batch_id = $1 and status = 'queued'`,
      [batchId],
    );
    const claimed = await Promise.all(
      others.map((other) => stores.chunks.claim({ batchId, ...other }, 'worker-b')),
    );
    const [, ...commits] = await Promise.all([
      stores.chunks.split(chunk, { lines: 1, bytes: 10 }, 2),
      ...claimed.map((each) => stores.chunks.commit(each!, buildChunkResult(each!))),
    ]);
    expect(commits.some((commit) => commit!.isLast)).toBe(false);
    const parts = await stores.chunkQueue.dispatch(8, 100);
    expect(parts.map(({ chunk: index }) => index).sort()).toEqual([0, 6]);
    const ends = await Promise.all(
      parts.map(async (part) => {
        const own = (await stores.chunks.claim(part, 'worker-c'))!;
        expect(own.lostAttempts).toBe(0);
        return stores.chunks.commit(own, buildChunkResult(own));
      }),
    );
    expect(ends.filter((end) => end!.isLast)).toHaveLength(1);
    expect(await stores.getBatchRow(batchId)).toMatchObject({
      status: 'finalizing',
      completed: 60,
      chunksDone: 7,
    });
  });
});
