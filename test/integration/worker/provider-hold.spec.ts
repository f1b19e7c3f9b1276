/** Chunks that can't be run now: put off where the provider limits calls, held back where its account does not serve. */
import { defaultPolicyOptions } from '#domain';
import { ModelRuntimes } from '../../../apps/worker/src/inference/model-runtimes.ts';
import { getField } from '../../support/upstream/call.ts';
import { ScriptedUpstream } from '../../support/upstream/server.ts';
import { embeddingLine, openWorkerHarness, type WorkerHarness } from './worker-harness.ts';
import { createProvidersAt } from '../providers/provider-fixtures.ts';

let upstream: ScriptedUpstream;
let mill: WorkerHarness;
beforeAll(async () => {
  upstream = await ScriptedUpstream.start();
  mill = await openWorkerHarness(createProvidersAt(upstream));
});
beforeEach(() =>
  mill.house.database.rows(`update batches set status = 'failed' where status = 'in_progress'`),
);
afterEach(() => upstream.reset());
afterAll(async () => {
  await mill?.close();
  await upstream?.close();
});

const lines = 30;
/** Calls at once: the provider's. */
const slots = 4;
/** A call a line. */
const text = Array.from({ length: lines }, (_, at) =>
  embeddingLine(at, { model: 'openai/scripted', metadata: { line: String(at) }, encoding_format: 'float' }),
).join('\n');

/** The inputs that were answered. */
const textsPaid = () =>
  upstream
    .findCalls('/embeddings')
    .filter(({ status }) => status === 200)
    .map((call) => String(getField(call, 'input')));

const run = async () => {
  const runtimes = new ModelRuntimes({
    ...defaultPolicyOptions,
    budget: { ...defaultPolicyOptions.budget, maxInlineWaitMs: 500 },
  });
  const deliveries = await mill.house.chunks.dispatch(8, 100);
  for (const delivery of deliveries) await mill.run(delivery, { runtimes });
  return deliveries.length;
};

const stateOf = async (batchId: string) => {
  const [state] = await mill.house.database.rows<{
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
  '%i: the workspace’s batches there are paused and told so; resumed, they pay for what is left',
  async (status, reason) => {
    const workspace = await mill.house.workspace();
    const batchId = await mill.planned(text, workspace);
    upstream.script({ status, skip: 10 });
    const [delivery] = await mill.house.chunks.dispatch(8, 100);
    const beside = await mill.planned(text, workspace);
    const elsewhere = await mill.planned(text.replaceAll('openai/scripted', 'sandbox/embeddings'), workspace);
    const stranger = await mill.planned(text);
    await mill.run(delivery!);

    expect(await stateOf(batchId)).toEqual({ paused: true, reason, chunk: 'pending' });
    expect(await stateOf(beside)).toEqual({ paused: true, reason, chunk: 'pending' });
    for (const other of [elsewhere, stranger]) expect(await stateOf(other)).toMatchObject({ paused: false });
    for (const id of [batchId, beside])
      expect(await mill.house.facts(id)).toEqual(['batch.in_progress', 'batch.paused']);
    expect(await mill.house.attempts(batchId)).toEqual([{ chunk: 0, number: 1, outcome: 'released' }]);
    expect(upstream.calls.length).toBeLessThanOrEqual(10 + slots);

    // Resumed too early it is held back again, at the price of a call in each slot.
    upstream.calls.length = 0;
    await mill.house.batches.cancel(workspace, beside);
    await mill.house.life.resume(workspace, batchId);
    await mill.house.database.rows(`update batches set status = 'failed' where id = any($1)`, [
      [elsewhere, stranger],
    ]);
    await mill.drain();
    expect(await stateOf(batchId)).toMatchObject({ paused: true, reason });
    expect(upstream.calls.length).toBeLessThanOrEqual(slots);

    upstream.reset();
    await mill.house.life.resume(workspace, batchId);
    expect(await stateOf(batchId)).toMatchObject({ paused: false, reason: null });
    await mill.drain();
    expect(await mill.house.row(batchId)).toMatchObject({ status: 'completed', completed: lines });
    expect(upstream.calls).toHaveLength(lines - 10);
  },
);

test('429 with a long Retry-After: the chunk waits without a slot, and what was answered is not asked again', async () => {
  const batchId = await mill.planned(text);
  upstream.script({ status: 429, headers: { 'retry-after': '1' }, skip: 10 });
  expect(await run()).toBe(1);
  expect(await stateOf(batchId)).toEqual({ paused: false, reason: null, chunk: 'pending' });
  expect(upstream.calls.length).toBeLessThanOrEqual(10 + slots);
  const paid = textsPaid();
  expect(paid).toHaveLength(10);
  upstream.reset();

  const [wait] = await mill.house.database.rows<{ ms: number }>(
    `select extract(epoch from not_before - clock_timestamp()) * 1000 as ms from chunks where batch_id = $1`,
    [batchId],
  );
  expect(Number(wait!.ms)).toBeLessThanOrEqual(1_100);
  while ((await run()) === 0) await new Promise((resolve) => setTimeout(resolve, 50));
  expect(await mill.house.row(batchId)).toMatchObject({ status: 'completed', completed: lines });
  expect(upstream.calls).toHaveLength(lines - 10);
  expect(new Set([...paid, ...textsPaid()]).size).toBe(lines);
  expect(await mill.house.attempts(batchId)).toEqual([
    { chunk: 0, number: 1, outcome: 'released' },
    { chunk: 0, number: 2, outcome: 'succeeded' },
  ]);
});
