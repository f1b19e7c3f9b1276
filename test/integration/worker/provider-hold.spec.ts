/** Chunks that can't run now: deferred when the provider limits requests, paused when it rejects the account. */
import { defaultPolicyOptions } from '#domain';
import { ModelRuntimes } from '../../../apps/worker/src/inference/model-runtimes.ts';
import { getField } from '../../support/upstream/call.ts';
import { ScriptedUpstream } from '../../support/upstream/server.ts';
import { embeddingLine, openWorkerHarness, type WorkerHarness } from './worker-harness.ts';
import { createProvidersAt } from '../providers/provider-fixtures.ts';

let upstream: ScriptedUpstream;
let harness: WorkerHarness;
beforeAll(async () => {
  upstream = await ScriptedUpstream.start();
  harness = await openWorkerHarness(createProvidersAt(upstream));
});
beforeEach(() =>
  harness.stores.database.rows(`update batches set status = 'failed' where status = 'in_progress'`),
);
afterEach(() => upstream.reset());
afterAll(async () => {
  await harness?.close();
  await upstream?.close();
});

const lines = 30;
/** Concurrent calls of the provider. */
const concurrency = 4;
/** Each line is a call of its own. */
const text = Array.from({ length: lines }, (_, at) =>
  embeddingLine(at, { model: 'openai/scripted', metadata: { line: String(at) }, encoding_format: 'float' }),
).join('\n');

/** The inputs that were answered. */
const listAnswered = () =>
  upstream
    .findCalls('/embeddings')
    .filter(({ status }) => status === 200)
    .map((call) => String(getField(call, 'input')));

const run = async () => {
  const runtimes = new ModelRuntimes({
    ...defaultPolicyOptions,
    budget: { ...defaultPolicyOptions.budget, maxInlineWaitMs: 500 },
  });
  const queued = await harness.stores.chunkQueue.dispatch(8, 100);
  for (const chunk of queued) await harness.run(chunk, { runtimes });
  return queued.length;
};

const readState = async (batchId: string) => {
  const [state] = await harness.stores.database.rows<{
    paused: boolean;
    reason: string | null;
    chunk: string;
  }>(
    `select b.paused, b.pause_reason as reason, c.status as chunk
     from batches b join chunks c on c.batch_id = b.id where b.id = $1`,
    [batchId],
  );
  return state;
};

test.each([
  [402, 'insufficient_quota'],
  [401, 'provider_token_invalid'],
])(
  '%i pauses the workspace’s batches at the provider, and after a resume only the remaining lines are called',
  async (status, reason) => {
    const workspace = await harness.stores.createWorkspace();
    const batchId = await harness.createPlannedBatch(text, workspace);
    upstream.script({ status, skip: 10 });
    const [chunk] = await harness.stores.chunkQueue.dispatch(8, 100);
    const sameProvider = await harness.createPlannedBatch(text, workspace);
    const otherProvider = await harness.createPlannedBatch(
      text.replaceAll('openai/scripted', 'sandbox/embeddings'),
      workspace,
    );
    const otherWorkspace = await harness.createPlannedBatch(text);
    await harness.run(chunk!);

    expect(await readState(batchId)).toEqual({ paused: true, reason, chunk: 'pending' });
    expect(await readState(sameProvider)).toEqual({ paused: true, reason, chunk: 'pending' });
    for (const other of [otherProvider, otherWorkspace])
      expect(await readState(other)).toMatchObject({ paused: false });
    for (const id of [batchId, sameProvider])
      expect(await harness.stores.listEventTypes(id)).toEqual(['batch.in_progress', 'batch.paused']);
    expect(await harness.stores.listAttempts(batchId)).toEqual([
      { chunk: 0, number: 1, outcome: 'released' },
    ]);
    expect(upstream.calls.length).toBeLessThanOrEqual(10 + concurrency);

    // Resumed too early, the batch is paused again after at most one call per permit.
    upstream.calls.length = 0;
    await harness.stores.batches.cancel(workspace, sameProvider);
    await harness.stores.batchControl.resume(workspace, batchId);
    await harness.stores.database.rows(`update batches set status = 'failed' where id = any($1)`, [
      [otherProvider, otherWorkspace],
    ]);
    await harness.drain();
    expect(await readState(batchId)).toMatchObject({ paused: true, reason });
    expect(upstream.calls.length).toBeLessThanOrEqual(concurrency);

    upstream.reset();
    await harness.stores.batchControl.resume(workspace, batchId);
    expect(await readState(batchId)).toMatchObject({ paused: false, reason: null });
    await harness.drain();
    expect(await harness.stores.getBatchRow(batchId)).toMatchObject({
      status: 'completed',
      completed: lines,
    });
    expect(upstream.calls).toHaveLength(lines - 10);
  },
);

test('429 with a long Retry-After defers the chunk without holding a slot, and answered lines are not called again', async () => {
  const batchId = await harness.createPlannedBatch(text);
  upstream.script({ status: 429, headers: { 'retry-after': '1' }, skip: 10 });
  expect(await run()).toBe(1);
  expect(await readState(batchId)).toEqual({ paused: false, reason: null, chunk: 'pending' });
  expect(upstream.calls.length).toBeLessThanOrEqual(10 + concurrency);
  const answered = listAnswered();
  expect(answered).toHaveLength(10);
  upstream.reset();

  const [wait] = await harness.stores.database.rows<{ ms: number }>(
    `select extract(epoch from not_before - clock_timestamp()) * 1000 as ms from chunks where batch_id = $1`,
    [batchId],
  );
  expect(Number(wait!.ms)).toBeLessThanOrEqual(1_100);
  while ((await run()) === 0) await new Promise((resolve) => setTimeout(resolve, 50));
  expect(await harness.stores.getBatchRow(batchId)).toMatchObject({ status: 'completed', completed: lines });
  expect(upstream.calls).toHaveLength(lines - 10);
  expect(new Set([...answered, ...listAnswered()]).size).toBe(lines);
  expect(await harness.stores.listAttempts(batchId)).toEqual([
    { chunk: 0, number: 1, outcome: 'released' },
    { chunk: 0, number: 2, outcome: 'succeeded' },
  ]);
});
