/** Claims, commits and releases of chunks: only the last claim holds a chunk, and only it can commit, once. */
import {
  buildIdleState,
  createStoresFixture,
  buildChunkResult,
  type StoresFixture,
} from './stores-fixture.ts';

let fixture: StoresFixture;
let workspaceId: string;
beforeAll(async () => {
  fixture = await createStoresFixture();
});
afterAll(() => fixture?.close());
beforeEach(async () => {
  workspaceId = await fixture.createWorkspace();
});

/** Creates a batch and dispatches its chunks. */
async function dispatchBatch(chunks = 1) {
  const batchId = await fixture.createPlannedBatch(workspaceId, chunks);
  const queued = await fixture.chunkQueue.dispatch(1_000, 10_000);
  return { batchId, queued: queued.filter((each) => each.batchId === batchId) };
}

test('a claim returns all that a worker needs', async () => {
  const { batchId, queued } = await dispatchBatch(2);
  expect(queued).toEqual([0, 1].map((chunk) => ({ batchId, chunk, generation: 1, lane: 'remote_sandbox' })));
  expect(await fixture.chunks.claim(queued[1]!, 'worker-a')).toEqual({
    batchId,
    index: 1,
    attempt: 1,
    workspaceId,
    firstLine: 11,
    lines: 10,
    byteStart: 100,
    byteLength: 100,
    kind: 'embeddings',
    outputFormat: 'jsonl',
    model: 'sandbox/embeddings',
    endpoint: '/v1/embeddings',
    closing: null,
    inputFileId: expect.stringMatching(/^file_/),
    lostAttempts: 0,
    failedAttempts: 0,
    wasAnswered: false,
    ageMs: expect.any(Number),
  });
});

test('a commit counts once, with its tokens', async () => {
  const { batchId, queued } = await dispatchBatch();
  const chunk = (await fixture.chunks.claim(queued[0]!, 'worker-a'))!;
  expect(await fixture.chunks.commit(chunk, buildChunkResult(chunk, { failed: 3 }))).toEqual({
    isLast: true,
  });
  const after = await fixture.getBatchRow(batchId);
  expect(after).toMatchObject({
    status: 'finalizing',
    completed: 7,
    failed: 3,
    chunksDone: 1,
    inputTokens: 14,
  });
  expect(await fixture.chunks.commit(chunk, buildChunkResult(chunk))).toBeNull();
  expect(await fixture.getBatchRow(batchId)).toEqual(after);
  expect(await fixture.listAttempts(batchId)).toEqual([{ chunk: 0, number: 1, outcome: 'succeeded' }]);
});

test('of ten concurrent commits, one counts', async () => {
  const { batchId, queued } = await dispatchBatch(2);
  const chunk = (await fixture.chunks.claim(queued[0]!, 'worker-a'))!;
  const committed = await Promise.all(
    Array.from({ length: 10 }, () => fixture.chunks.commit(chunk, buildChunkResult(chunk))),
  );
  expect(committed.filter(Boolean)).toEqual([{ isLast: false }]);
  expect(await fixture.getBatchRow(batchId)).toMatchObject({
    status: 'in_progress',
    completed: 10,
    chunksDone: 1,
  });
});

test('of concurrent commits of all chunks, exactly one is the last', async () => {
  const { batchId, queued } = await dispatchBatch(12);
  const chunks = await Promise.all(queued.map((each) => fixture.chunks.claim(each, 'worker-a')));
  const committed = await Promise.all(
    chunks.map((chunk) => fixture.chunks.commit(chunk!, buildChunkResult(chunk!))),
  );
  expect(committed.filter((commit) => commit!.isLast)).toHaveLength(1);
  expect(await fixture.getBatchRow(batchId)).toMatchObject({
    status: 'finalizing',
    completed: 120,
    chunksDone: 12,
  });
});

test('the commit and the release of an older attempt change nothing', async () => {
  const { batchId, queued } = await dispatchBatch();
  const frozen = (await fixture.chunks.claim(queued[0]!, 'worker-a'))!;
  const second = (await fixture.chunks.claim(queued[0]!, 'worker-b'))!;
  expect([frozen.attempt, second.attempt, second.lostAttempts]).toEqual([1, 2, 1]);
  const before = await fixture.getBatchRow(batchId);
  expect(await fixture.chunks.commit(frozen, buildChunkResult(frozen, { failed: 10 }))).toBeNull();
  await fixture.chunks.release(frozen, 'failed', 'late', 0);
  expect(await fixture.getBatchRow(batchId)).toEqual(before);
  expect(await fixture.chunks.commit(second, buildChunkResult(second))).toEqual({ isLast: true });
  expect(await fixture.listAttempts(batchId)).toEqual([
    { chunk: 0, number: 1, outcome: 'lost' },
    { chunk: 0, number: 2, outcome: 'succeeded' },
  ]);
  const [stored] = await fixture.database.rows('select output_key as key from chunks where batch_id = $1', [
    batchId,
  ]);
  expect(stored).toEqual({ key: buildChunkResult(second).output!.key });
});

test('a result that does not account for every line is refused', async () => {
  const { batchId, queued } = await dispatchBatch();
  const chunk = (await fixture.chunks.claim(queued[0]!, 'worker-a'))!;
  expect(await fixture.chunks.commit(chunk, { ...buildChunkResult(chunk), completed: 9 })).toBeNull();
  expect(await fixture.chunks.commit(chunk, { ...buildChunkResult(chunk), failed: 1 })).toBeNull();
  expect(await fixture.getBatchRow(batchId)).toMatchObject({ completed: 0, failed: 0, chunksDone: 0 });
  expect(await fixture.chunks.commit(chunk, buildChunkResult(chunk))).toEqual({ isLast: true });
});

test('a stale generation claims nothing; each claim of one generation fences the earlier ones', async () => {
  const { batchId, queued } = await dispatchBatch();
  const [first] = queued as [(typeof queued)[number]];
  for (const generation of [0, 2, 99])
    expect(await fixture.chunks.claim({ ...first, generation }, 'w')).toBeNull();
  expect(await fixture.chunks.claim({ ...first, chunk: 7 }, 'w')).toBeNull();
  const claims = await Promise.all(
    Array.from({ length: 8 }, (_, at) => fixture.chunks.claim(first, `worker-${at}`)),
  );
  expect(claims.map((claim) => claim!.attempt).sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  const committed = await Promise.all(
    claims.map((claim) => fixture.chunks.commit(claim!, buildChunkResult(claim!))),
  );
  expect(committed.filter(Boolean)).toHaveLength(1);
  expect(committed[claims.findIndex((claim) => claim!.attempt === 8)]).not.toBeNull();
  expect(await fixture.chunks.claim(first, 'w')).toBeNull();
  expect(await fixture.getBatchRow(batchId)).toMatchObject({ completed: 10, chunksDone: 1 });
});

test('a released chunk is dispatched again under the next generation, after its delay', async () => {
  const { batchId, queued } = await dispatchBatch();
  const first = (await fixture.chunks.claim(queued[0]!, 'worker-a'))!;
  await fixture.chunks.release(first, 'released', null, 60_000);
  expect(await fixture.chunkQueue.dispatch(8, 1_000)).toEqual([]);
  await fixture.database.rows('update chunks set not_before = now() where batch_id = $1', [batchId]);
  const [again] = await fixture.chunkQueue.dispatch(8, 1_000);
  expect(again).toEqual({ batchId, chunk: 0, generation: 2, lane: 'remote_sandbox' });
  expect(await fixture.chunks.claim(queued[0]!, 'worker-a')).toBeNull();
  const second = (await fixture.chunks.claim(again!, 'worker-b'))!;
  // A release is not a lost attempt.
  expect([second.attempt, second.lostAttempts]).toEqual([2, 0]);
  expect(await fixture.chunks.commit(first, buildChunkResult(first))).toBeNull();
  expect(await fixture.chunks.commit(second, buildChunkResult(second))).toEqual({ isLast: true });
  expect(await fixture.listAttempts(batchId)).toEqual([
    { chunk: 0, number: 1, outcome: 'released' },
    { chunk: 0, number: 2, outcome: 'succeeded' },
  ]);
});

test('a chunk of a batch that has ended cannot be claimed', async () => {
  const { batchId, queued } = await dispatchBatch(2);
  const [first, second] = queued;
  const chunk = (await fixture.chunks.claim(first!, 'worker-a'))!;
  await fixture.chunks.commit(chunk, buildChunkResult(chunk));
  expect(await fixture.chunks.claim(first!, 'worker-a')).toBeNull();
  await fixture.database.rows(`update batches set status = 'failed' where id = $1`, [batchId]);
  expect(await fixture.chunks.claim(second!, 'worker-a')).toBeNull();
});

describe('the window', () => {
  const countChunks = (chunks: { batchId: string }[], batchId: string) =>
    chunks.filter((chunk) => chunk.batchId === batchId).length;

  /** Ends the batches of other tests. */
  beforeEach(async () => {
    await fixture.database.rows(`update batches set status = 'failed' where status <> 'failed'`);
  });

  test('limits a batch’s queued and running chunks; the next is dispatched when one ends', async () => {
    const batchId = await fixture.createPlannedBatch(workspaceId, 10);
    const out = await fixture.chunkQueue.dispatch(4, 1_000);
    expect(out.map(({ chunk }) => chunk)).toEqual([0, 1, 2, 3]);
    expect(await fixture.chunkQueue.dispatch(4, 1_000)).toEqual([]);
    const chunk = (await fixture.chunks.claim(out[2]!, 'worker-a'))!;
    expect(await fixture.chunkQueue.dispatch(4, 1_000)).toEqual([]);
    await fixture.chunks.commit(chunk, buildChunkResult(chunk));
    expect(await fixture.chunkQueue.dispatch(4, 1_000)).toEqual([
      { batchId, chunk: 4, generation: 1, lane: 'remote_sandbox' },
    ]);
    // A smaller window takes no chunk out of the queue.
    expect(await fixture.chunkQueue.dispatch(1, 1_000)).toEqual([]);
  });

  test('workspaces get equal shares, even if one has more batches', async () => {
    const large = await Promise.all(
      Array.from({ length: 5 }, () => fixture.createPlannedBatch(workspaceId, 20)),
    );
    const small = await fixture.createPlannedBatch(await fixture.createWorkspace(), 20);
    const page = await fixture.chunkQueue.dispatch(20, 10);
    expect(countChunks(page, small)).toBe(5);
    expect(large.reduce((sum, batchId) => sum + countChunks(page, batchId), 0)).toBe(5);
  });

  test('concurrent dispatchers queue each chunk once, and no more than the window', async () => {
    const batches = await Promise.all(
      Array.from({ length: 6 }, () => fixture.createPlannedBatch(workspaceId, 30)),
    );
    const rounds = await Promise.all(Array.from({ length: 8 }, () => fixture.chunkQueue.dispatch(10, 1_000)));
    const out = [...rounds.flat(), ...(await fixture.chunkQueue.dispatch(10, 1_000))];
    expect(new Set(out.map(({ batchId, chunk }) => `${batchId} ${chunk}`)).size).toBe(out.length);
    for (const batchId of batches) expect(countChunks(out, batchId)).toBe(10);
    expect(out.every(({ generation }) => generation === 1)).toBe(true);
  });

  test('a batch that is not in progress has no chunk dispatched', async () => {
    const waiting = await fixture.createBatch(workspaceId);
    const plan = (await fixture.plans.claim(waiting, 1))!;
    const { buildPlan } = await import('./stores-fixture.ts');
    await fixture.plans.addChunks(plan, buildPlan(3));
    expect(await fixture.chunkQueue.dispatch(10, 1_000)).toEqual([]);
  });
});

describe('overdue chunks', () => {
  const none = { batchId: '', chunk: -1 };
  const limits = { queued: 10, workerGone: 10 };
  const age = (batchId: string) =>
    fixture.database.rows(`update chunks set queued_at = now() - interval '1 minute' where batch_id = $1`, [
      batchId,
    ]);
  const listOverdue = async (batchId: string) =>
    (await fixture.chunkQueue.listOverdue(limits, none, 1_000)).filter((chunk) => chunk.batchId === batchId);
  const sendHeartbeat = (id: string) =>
    fixture.workers.recordHeartbeat(
      { id, pools: ['remote'], slots: 1, host: 'h', pid: 1, version: '' },
      buildIdleState(),
    );

  test('are queued for long, or running on a worker without a heartbeat', async () => {
    const { batchId, queued } = await dispatchBatch(3);
    expect(await listOverdue(batchId)).toEqual([]);
    await sendHeartbeat('alive');
    await fixture.chunks.claim(queued[1]!, 'alive');
    await fixture.chunks.claim(queued[2]!, 'dead');
    await age(batchId);
    expect((await listOverdue(batchId)).map(({ chunk }) => chunk)).toEqual([0, 2]);
    await fixture.database.rows(
      `update workers set seen_at = now() - interval '1 minute' where id = 'alive'`,
    );
    expect((await listOverdue(batchId)).map(({ chunk }) => chunk)).toEqual([0, 1, 2]);
  });

  test('are listed in pages', async () => {
    const { batchId } = await dispatchBatch(5);
    await age(batchId);
    const found: number[] = [];
    for (let after = { batchId, chunk: -1 }; ;) {
      const page = await fixture.chunkQueue.listOverdue(limits, after, 2);
      found.push(...page.map(({ chunk }) => chunk));
      if (page.length < 2) break;
      after = page.at(-1)!;
    }
    expect(found).toEqual([0, 1, 2, 3, 4]);
  });

  test('are requeued once by concurrent calls, which fences out a worker that still runs the chunk', async () => {
    const { batchId, queued } = await dispatchBatch();
    const frozen = (await fixture.chunks.claim(queued[0]!, 'dead'))!;
    const rounds = await Promise.all([
      fixture.chunkQueue.requeue(queued),
      fixture.chunkQueue.requeue(queued),
    ]);
    expect(rounds.flat()).toEqual([{ batchId, chunk: 0, generation: 2, lane: 'remote_sandbox' }]);
    expect(await fixture.chunkQueue.requeue(queued)).toEqual([]);
    expect(await fixture.chunks.commit(frozen, buildChunkResult(frozen))).toBeNull();
    expect(await fixture.chunks.claim(queued[0]!, 'worker-a')).toBeNull();
    const chunk = (await fixture.chunks.claim(rounds.flat()[0]!, 'worker-b'))!;
    expect(chunk.lostAttempts).toBe(1);
    expect(await fixture.chunks.commit(chunk, buildChunkResult(chunk))).toEqual({ isLast: true });
    expect(await fixture.chunkQueue.requeue([{ ...queued[0]!, generation: 2 }])).toEqual([]);
  });
});
