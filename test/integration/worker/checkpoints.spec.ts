/** Billed lines: lines that an attempt has finished are checkpointed while it runs, and no later attempt calls them again. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { QueuedChunk, ClaimedChunk } from '#database';
import { Unavailable } from '#domain';
import type { ObjectStorage } from '#storage';
import type { RunChunkDeps } from '../../../apps/worker/src/batches/chunks/run-chunk.ts';
import { eventually } from '../../support/eventually.ts';
import { embeddingLine, openWorkerHarness, type WorkerHarness } from './worker-harness.ts';

let harness: WorkerHarness;
beforeAll(async () => {
  harness = await openWorkerHarness();
});
afterAll(() => harness?.close());

/** The steps of each line in order: its calls, and when it was checkpointed. */
let steps: Map<number, string[]>;
let startedCalls = 0;
const record = (line: number, step: string) => void steps.set(line, [...(steps.get(line) ?? []), step]);
const onCall = (message: unknown) => {
  const { step, inputs } = message as { step: string; inputs: string[] };
  if (step === 'started') startedCalls++;
  for (const input of inputs) record(Number(input.split(' ')[1]) + 1, step);
};
const onCheckpoint = (lines: unknown) => (lines as number[]).forEach((line) => record(line, 'checkpointed'));
beforeEach(async () => {
  steps = new Map();
  startedCalls = 0;
  subscribe('millrace:sandbox.call', onCall);
  subscribe('millrace:lines.checkpointed', onCheckpoint);
  await harness.stores.database.rows(`update batches set status = 'failed' where status = 'in_progress'`);
});
afterEach(() => {
  unsubscribe('millrace:sandbox.call', onCall);
  unsubscribe('millrace:lines.checkpointed', onCheckpoint);
});

const lines = 50;
const perCall = 3;
/** One chunk of billed lines, three lines per call, each call with a delay. Every tenth line is rejected. */
const buildInput = (delayMs: number, model = 'sandbox/embeddings:paid') =>
  Array.from({ length: lines }, (_, at) => {
    const metadata = {
      call: String(Math.floor(at / perCall)),
      sandbox: JSON.stringify({ delay_ms: delayMs, reject: '9' }),
    };
    return `${embeddingLine(at, { model, metadata })}\n`;
  }).join('');

async function dispatch(text: string): Promise<{ batchId: string; chunk: QueuedChunk }> {
  const batchId = await harness.createPlannedBatch(text);
  const queued = await harness.stores.chunkQueue.dispatch(8, 100);
  expect(queued).toHaveLength(1);
  return { batchId, chunk: queued[0]! };
}

const run = (chunk: QueuedChunk, overrides: Partial<RunChunkDeps> = {}) => harness.run(chunk, overrides);
const listCheckpointed = () =>
  [...steps].filter(([, own]) => own.includes('checkpointed')).map(([line]) => line);
const findCalledAfterCheckpoint = () =>
  [...steps].filter(([, own]) => {
    const checkpointedAt = own.indexOf('checkpointed');
    return checkpointedAt >= 0 && own.slice(checkpointedAt + 1).includes('started');
  });

async function expectComplete(batchId: string): Promise<void> {
  const output = await harness.readRecords(batchId, 'output_file_id');
  const errors = await harness.readRecords(batchId, 'error_file_id');
  expect([output.length, errors.length]).toEqual([45, 5]);
  expect(new Set([...output, ...errors].map(({ id }) => id)).size).toBe(lines);
  expect(await harness.stores.getBatchRow(batchId)).toMatchObject({
    status: 'completed',
    completed: 45,
    failed: 5,
    // Each input has two tokens, e.g. 'text 0' and 'text 10'.
    inputTokens: 45 * 2,
  });
}

/** Deletes retired checkpoints as the reconcile job does. @returns the batch's remaining objects. */
async function cleanUp(batchId: string): Promise<string[]> {
  const { checkpoints } = harness.stores;
  await checkpoints.retireFinished();
  const keys = await checkpoints.listRetiredObjects(1_000);
  await harness.objects.delete(keys);
  await checkpoints.deleteRetiredObjects(keys);
  const left: string[] = [];
  for await (const { key } of harness.objects.list('')) if (key.includes(batchId)) left.push(key);
  return left;
}

test('an attempt that is superseded midway: the next one runs only the lines without a checkpoint', async () => {
  const { batchId, chunk } = await dispatch(buildInput(80));
  const first = run(chunk);
  await eventually('some lines to be checkpointed', () => listCheckpointed().length >= 12);
  await run(chunk);
  await first;
  expect(findCalledAfterCheckpoint()).toEqual([]);
  // The first attempt stops calling once it learns that the chunk is claimed by another.
  const twice = [...steps].filter(([, own]) => own.filter((step) => step === 'started').length > 1);
  expect(twice.length).toBeLessThan(lines);
  expect(new Set(listCheckpointed()).size).toBe(lines);
  await expectComplete(batchId);
  expect(await cleanUp(batchId)).toEqual([
    expect.stringMatching(/0-2\.error\.jsonl$/),
    expect.stringMatching(/0-2\.output\.jsonl$/),
  ]);
});

test('when all lines finished but the commit failed, no line is called again', async () => {
  const { batchId, chunk } = await dispatch(buildInput(0));
  const dyingStore = Object.assign(Object.create(harness.stores.chunks) as RunChunkDeps['chunks'], {
    commit: () => Promise.reject(new Error('dies')),
    release: async () => undefined,
  });
  await run(chunk, { chunks: dyingStore });
  expect(listCheckpointed()).toHaveLength(lines);
  const before = startedCalls;
  await run(chunk);
  expect(startedCalls).toBe(before);
  await expectComplete(batchId);
});

test('after a split, each part restores its lines from the checkpoints of the whole chunk', async () => {
  const { batchId, chunk } = await dispatch(buildInput(80));
  const first = run(chunk);
  await eventually('some lines to be checkpointed', () => listCheckpointed().length >= 20);
  // Workers die until the chunk is split.
  for (let death = 0; death < 2; death++) await harness.stores.chunks.claim(chunk, `dead-${death}`);
  await first;
  await run(chunk);
  const parts = await harness.stores.chunkQueue.dispatch(8, 100);
  expect(parts).toHaveLength(2);
  for (const part of parts) await run(part);
  expect(findCalledAfterCheckpoint()).toEqual([]);
  await expectComplete(batchId);
  expect((await cleanUp(batchId)).filter((key) => key.includes('checkpoint'))).toEqual([]);
});

test('after a cancel, lines with a checkpoint are in the output', async () => {
  const { batchId, chunk } = await dispatch(buildInput(80));
  const first = run(chunk);
  await eventually('some lines to be checkpointed', () => listCheckpointed().length >= 12);
  const claimed = (await harness.stores.chunks.claim(chunk, 'dead')) as ClaimedChunk;
  await harness.stores.batches.cancel(claimed.workspaceId, batchId);
  await first;
  const expected = listCheckpointed().length;
  await run(chunk);
  const { completed, failed, canceled } = await harness.stores.getBatchRow(batchId);
  expect(completed + failed).toBe(expected);
  expect(completed + failed + canceled).toBe(lines);
  expect(await harness.readRecords(batchId, 'output_file_id')).toHaveLength(completed);
});

test('while the storage is away, no call is started whose result could not be stored', async () => {
  const { batchId, chunk } = await dispatch(buildInput(20));
  let isAway = true;
  let failures = 0;
  const put: ObjectStorage['put'] = (key, ...rest) => {
    if (!isAway || !key.includes('checkpoint')) return harness.objects.put(key, ...rest);
    failures++;
    return Promise.reject(new Unavailable('The storage is away.'));
  };
  const read: ObjectStorage['read'] = (...args) => harness.objects.read(...args);
  const head: ObjectStorage['head'] = (key) => harness.objects.head(key);
  const objects = { put, read, head } as ObjectStorage;
  const running = run(chunk, { objects });
  try {
    await eventually('a second failure', () => failures >= 2);
    // Four concurrent calls, and those that were answered before the first failure was known.
    const before = startedCalls;
    expect(before).toBeLessThan(lines / perCall);
    await eventually('a fourth failure', () => failures >= 4);
    expect(startedCalls).toBe(before);
  } finally {
    isAway = false;
    await running;
  }
  await expectComplete(batchId);
});

test('lines that are not billed are not checkpointed', async () => {
  const { batchId, chunk } = await dispatch(buildInput(0, 'sandbox/embeddings'));
  await run(chunk);
  expect(listCheckpointed()).toEqual([]);
  expect(
    await harness.stores.database.rows('select 1 from checkpoints where batch_id = $1', [batchId]),
  ).toEqual([]);
  await expectComplete(batchId);
});
