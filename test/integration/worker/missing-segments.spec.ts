/** Segments that are missing from the storage or truncated are found before the batch ends, and their chunks run again. */
import { rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import type { BatchCompletionStore } from '#database';
import { embeddingLine, openWorkerHarness, type WorkerHarness } from './worker-harness.ts';

let harness: WorkerHarness;
beforeAll(async () => {
  harness = await openWorkerHarness();
});
afterAll(() => harness?.close());

const lines = 600;
const rejected = { metadata: { sandbox: '{"reject":"7"}' } };
const text = Array.from({ length: lines }, (_, at) => `${embeddingLine(at, rejected)}\n`).join('');
const bad = Array.from({ length: lines }, (_, at) => at).filter((at) => String(at).includes('7')).length;

interface Row {
  index: number;
  key: string;
  errors: string;
  completionOrder: number;
}

/** A worker that dies after the last commit, before it ends the batch. */
const createDyingCompletion = () =>
  Object.assign(Object.create(harness.stores.completion) as BatchCompletionStore, {
    reopenDamaged: () => Promise.reject(new Error('the worker dies')),
  });

/** A batch of twelve chunks that are all done, but whose end is not written yet. */
async function createDoneBatch(): Promise<{ batchId: string; chunks: Row[] }> {
  // Hides speeds that were measured before, which would change the number of chunks.
  await harness.stores.database.rows(`update attempts set model = 'other'`);
  const batchId = await harness.createPlannedBatch(text);
  await harness.drain({ completion: createDyingCompletion() });
  const rows = await harness.stores.database.rows<Row>(
    `select c.index, output_key as key, error_key as errors, a.completion_order as "completionOrder"
     from chunks c join attempts a on a.batch_id = c.batch_id and a.chunk = c.index and a.number = c.attempt
     where c.batch_id = $1 order by c.index`,
    [batchId],
  );
  return { batchId, chunks: rows };
}

const toPath = (key: string) => join(harness.root, key);
const readCounters = async (batchId: string) => {
  const { status, completed, failed, chunksDone, inputTokens } = await harness.stores.getBatchRow(batchId);
  return { status, completed, failed, chunksDone, inputTokens };
};

async function expectComplete(batchId: string): Promise<void> {
  const output = await harness.readRecords(batchId, 'output_file_id');
  const errors = await harness.readRecords(batchId, 'error_file_id');
  expect([output.length, errors.length]).toEqual([lines - bad, bad]);
  expect(new Set([...output, ...errors].map(({ custom_id }) => custom_id)).size).toBe(lines);
}

test('chunks with a missing or truncated segment run again, the others do not, and each line has one record', async () => {
  const { batchId, chunks } = await createDoneBatch();
  expect(chunks).toHaveLength(12);
  const before = await readCounters(batchId);
  expect(before).toMatchObject({ status: 'finalizing', completed: lines - bad, failed: bad, chunksDone: 12 });
  await rm(toPath(chunks[2]!.key));
  await truncate(toPath(chunks[5]!.errors), 10);

  expect(await harness.finishBatch(batchId)).toBe(false);
  const between = await readCounters(batchId);
  expect(between).toMatchObject({ status: 'in_progress', chunksDone: 10 });
  expect(between.completed + between.failed).toBe(lines - 100);
  expect(await harness.drain()).toBe(2);
  expect(await readCounters(batchId)).toEqual({ ...before, status: 'completed' });
  await expectComplete(batchId);
  const attempts = await harness.stores.listAttempts(batchId);
  expect(attempts.filter(({ outcome }) => outcome === 'failed').map(({ chunk }) => chunk)).toEqual([2, 5]);
  expect(attempts.filter(({ outcome }) => outcome === 'succeeded')).toHaveLength(12);
});

test('a reader of results continues where it was and misses nothing, and progress events are published once', async () => {
  const { batchId, chunks } = await createDoneBatch();
  const { results } = harness.stores;
  const workspaceId = (await harness.stores.getBatchRow(batchId)) as unknown as { workspace_id: string };
  const read = async (after: number, until: number) => {
    const keys: string[] = [];
    for await (const page of results.listSegments(workspaceId.workspace_id, batchId, after, until))
      keys.push(...page.map(({ key }) => key));
    return keys;
  };
  const missing = chunks.find(({ completionOrder }) => completionOrder === 7)!;
  await rm(toPath(missing.key));
  // A reader that finds the damage reports it while the batch is still open.
  expect(await harness.stores.completion.reopenDamaged(batchId, async () => [missing.key])).toBe(1);
  expect(await harness.stores.completion.reopenDamaged(batchId, async () => [missing.key])).toBe(0);
  const before = await results.getAvailableResults(workspaceId.workspace_id, batchId);
  expect(before).toMatchObject({ done: 6, isIncomplete: true });
  const first = await read(0, before.done);
  expect(await harness.drain()).toBe(1);
  const after = await results.getAvailableResults(workspaceId.workspace_id, batchId);
  expect(after).toMatchObject({ done: 12, isIncomplete: false });
  const rest = await read(before.done, after.done);
  expect(first).not.toContain(missing.key);
  expect(new Set([...first, ...rest]).size).toBe(24);
  const events = await harness.stores.database.rows<{ progress: number }>(
    `select (data->>'progress')::int as progress from events
     where subject = $1 and type = 'batch.progress' order by sequence`,
    [batchId],
  );
  expect(events.map(({ progress }) => progress)).toEqual([10, 20, 30, 40, 50, 60, 70, 80, 90]);
});

test('with many finishers at once each chunk is reopened once, and after a split both parts get their own completion order', async () => {
  const { batchId, chunks } = await createDoneBatch();
  for (const { key } of chunks.slice(3, 6)) await rm(toPath(key));
  await Promise.all(Array.from({ length: 6 }, () => harness.finishBatch(batchId)));
  expect(await readCounters(batchId)).toMatchObject({ status: 'in_progress', chunksDone: 9 });
  const [queued] = await harness.stores.chunkQueue.dispatch(1, 1);
  const claimed = (await harness.stores.chunks.claim(queued!, 'w'))!;
  const middle = Buffer.byteLength(
    text
      .split('\n')
      .slice(claimed.firstLine - 1, claimed.firstLine + 19)
      .join('\n') + '\n',
  );
  expect(
    await harness.stores.chunks.split(claimed, { lines: 20, bytes: middle }, claimed.firstLine + 20),
  ).toBe(12);
  await harness.drain();
  expect(await readCounters(batchId)).toMatchObject({
    status: 'completed',
    completed: lines - bad,
    chunksDone: 13,
  });
  await expectComplete(batchId);
  const orders = await harness.stores.database.rows<{ completionOrder: number }>(
    'select completion_order as "completionOrder" from attempts where batch_id = $1 and completion_order is not null order by 1',
    [batchId],
  );
  expect(orders.map(({ completionOrder }) => completionOrder)).toEqual(
    Array.from({ length: 13 }, (_, at) => at + 1),
  );
});

test('when a segment goes missing three times, the batch ends, and reading it reports the damage', async () => {
  const { batchId, chunks } = await createDoneBatch();
  const { index } = chunks[0]!;
  for (let loss = 0; loss < 3; loss++) {
    const [row] = await harness.stores.database.rows<{ key: string }>(
      'select output_key as key from chunks where batch_id = $1 and index = $2',
      [batchId, index],
    );
    await rm(toPath(row!.key));
    expect(await harness.finishBatch(batchId)).toBe(false);
    expect(await harness.drain({ completion: createDyingCompletion() })).toBe(1);
  }
  const [row] = await harness.stores.database.rows<{ key: string }>(
    'select output_key as key from chunks where batch_id = $1 and index = $2',
    [batchId, index],
  );
  await rm(toPath(row!.key));
  expect(await harness.finishBatch(batchId)).toBe(true);
  await expect(harness.readRecords(batchId, 'output_file_id')).rejects.toMatchObject({
    code: 'segment_damaged',
    key: row!.key,
    foundBytes: null,
  });
});
