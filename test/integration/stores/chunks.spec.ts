/** A chunk in the hands of workers: whoever claimed it last holds it, and only they can end it, once. */
import {
  buildIdleState,
  createStoresFixture,
  buildChunkResult,
  type StoresFixture,
} from './stores-fixture.ts';

let house: StoresFixture;
let workspaceId: string;
beforeAll(async () => {
  house = await createStoresFixture();
});
afterAll(() => house?.close());
beforeEach(async () => {
  workspaceId = await house.workspace();
});

/** One chunk's first delivery. */
async function delivered(chunks = 1) {
  const batchId = await house.planned(workspaceId, chunks);
  const deliveries = await house.chunks.dispatch(1_000, 10_000);
  return { batchId, deliveries: deliveries.filter((delivery) => delivery.batchId === batchId) };
}

test('claimed, it says all that a worker needs', async () => {
  const { batchId, deliveries } = await delivered(2);
  expect(deliveries).toEqual([0, 1].map((chunk) => ({ batchId, chunk, delivery: 1, pool: 'remote' })));
  expect(await house.chunks.claim(deliveries[1]!, 'worker-a')).toEqual({
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
    timesLost: 0,
  });
});

test('a commit counts once, with its segments and tokens', async () => {
  const { batchId, deliveries } = await delivered();
  const chunk = (await house.chunks.claim(deliveries[0]!, 'worker-a'))!;
  expect(await house.chunks.commit(chunk, buildChunkResult(chunk, { failed: 3 }))).toEqual({ isLast: true });
  const after = await house.row(batchId);
  expect(after).toMatchObject({
    status: 'finalizing',
    completed: 7,
    failed: 3,
    chunksDone: 1,
    inputTokens: 14,
  });
  expect(await house.chunks.commit(chunk, buildChunkResult(chunk))).toBeNull();
  expect(await house.row(batchId)).toEqual(after);
  expect(await house.attempts(batchId)).toEqual([{ chunk: 0, number: 1, outcome: 'succeeded' }]);
});

test('of ten commits at once one counts', async () => {
  const { batchId, deliveries } = await delivered(2);
  const chunk = (await house.chunks.claim(deliveries[0]!, 'worker-a'))!;
  const committed = await Promise.all(
    Array.from({ length: 10 }, () => house.chunks.commit(chunk, buildChunkResult(chunk))),
  );
  expect(committed.filter(Boolean)).toEqual([{ isLast: false }]);
  expect(await house.row(batchId)).toMatchObject({ status: 'in_progress', completed: 10, chunksDone: 1 });
});

test('the last commits of a batch at once: exactly one is the last', async () => {
  const { batchId, deliveries } = await delivered(12);
  const chunks = await Promise.all(deliveries.map((delivery) => house.chunks.claim(delivery, 'worker-a')));
  const committed = await Promise.all(
    chunks.map((chunk) => house.chunks.commit(chunk!, buildChunkResult(chunk!))),
  );
  expect(committed.filter((commit) => commit!.isLast)).toHaveLength(1);
  expect(await house.row(batchId)).toMatchObject({ status: 'finalizing', completed: 120, chunksDone: 12 });
});

test('an older attempt is fenced out: its commit and its release change nothing', async () => {
  const { batchId, deliveries } = await delivered();
  const frozen = (await house.chunks.claim(deliveries[0]!, 'worker-a'))!;
  const rival = (await house.chunks.claim(deliveries[0]!, 'worker-b'))!;
  expect([frozen.attempt, rival.attempt, rival.lostAttempts]).toEqual([1, 2, 1]);
  const before = await house.row(batchId);
  expect(await house.chunks.commit(frozen, buildChunkResult(frozen, { failed: 10 }))).toBeNull();
  await house.chunks.release(frozen, 'failed', 'late', 0);
  expect(await house.row(batchId)).toEqual(before);
  expect(await house.chunks.commit(rival, buildChunkResult(rival))).toEqual({ isLast: true });
  expect(await house.attempts(batchId)).toEqual([
    { chunk: 0, number: 1, outcome: 'lost' },
    { chunk: 0, number: 2, outcome: 'succeeded' },
  ]);
  const [stored] = await house.database.rows('select output_key as key from chunks where batch_id = $1', [
    batchId,
  ]);
  expect(stored).toEqual({ key: buildChunkResult(rival).output!.key });
});

test('a result that does not account for every line is refused', async () => {
  const { batchId, deliveries } = await delivered();
  const chunk = (await house.chunks.claim(deliveries[0]!, 'worker-a'))!;
  expect(await house.chunks.commit(chunk, { ...buildChunkResult(chunk), completed: 9 })).toBeNull();
  expect(await house.chunks.commit(chunk, { ...buildChunkResult(chunk), failed: 1 })).toBeNull();
  expect(await house.row(batchId)).toMatchObject({ completed: 0, failed: 0, chunksDone: 0 });
  expect(await house.chunks.commit(chunk, buildChunkResult(chunk))).toEqual({ isLast: true });
});

test('a stale delivery claims nothing; of many claims of one delivery each fences those before it', async () => {
  const { batchId, deliveries } = await delivered();
  const [delivery] = deliveries as [(typeof deliveries)[number]];
  for (const number of [0, 2, 99])
    expect(await house.chunks.claim({ ...delivery, generation: number }, 'w')).toBeNull();
  expect(await house.chunks.claim({ ...delivery, chunk: 7 }, 'w')).toBeNull();
  const claims = await Promise.all(
    Array.from({ length: 8 }, (_, at) => house.chunks.claim(delivery, `worker-${at}`)),
  );
  expect(claims.map((claim) => claim!.attempt).sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  const committed = await Promise.all(
    claims.map((claim) => house.chunks.commit(claim!, buildChunkResult(claim!))),
  );
  expect(committed.filter(Boolean)).toHaveLength(1);
  expect(committed[claims.findIndex((claim) => claim!.attempt === 8)]).not.toBeNull();
  expect(await house.chunks.claim(delivery, 'w')).toBeNull();
  expect(await house.row(batchId)).toMatchObject({ completed: 10, chunksDone: 1 });
});

test('released, it goes out again under the next delivery, after its pause', async () => {
  const { batchId, deliveries } = await delivered();
  const first = (await house.chunks.claim(deliveries[0]!, 'worker-a'))!;
  await house.chunks.release(first, 'released', null, 60_000);
  expect(await house.chunks.dispatch(8, 1_000)).toEqual([]);
  await house.database.rows('update chunks set not_before = now() where batch_id = $1', [batchId]);
  const [again] = await house.chunks.dispatch(8, 1_000);
  expect(again).toEqual({ batchId, chunk: 0, delivery: 2, pool: 'remote' });
  expect(await house.chunks.claim(deliveries[0]!, 'worker-a')).toBeNull();
  const second = (await house.chunks.claim(again!, 'worker-b'))!;
  // Handed back on purpose: not a worker that died on it.
  expect([second.attempt, second.lostAttempts]).toEqual([2, 0]);
  expect(await house.chunks.commit(first, buildChunkResult(first))).toBeNull();
  expect(await house.chunks.commit(second, buildChunkResult(second))).toEqual({ isLast: true });
  expect(await house.attempts(batchId)).toEqual([
    { chunk: 0, number: 1, outcome: 'released' },
    { chunk: 0, number: 2, outcome: 'succeeded' },
  ]);
});

test('a chunk whose batch is over is claimed by no one', async () => {
  const { batchId, deliveries } = await delivered(2);
  const [first, second] = deliveries;
  const chunk = (await house.chunks.claim(first!, 'worker-a'))!;
  await house.chunks.commit(chunk, buildChunkResult(chunk));
  expect(await house.chunks.claim(first!, 'worker-a')).toBeNull();
  await house.database.rows(`update batches set status = 'failed' where id = $1`, [batchId]);
  expect(await house.chunks.claim(second!, 'worker-a')).toBeNull();
});

describe('the window', () => {
  const countOf = (deliveries: { batchId: string }[], batchId: string) =>
    deliveries.filter((delivery) => delivery.batchId === batchId).length;

  /** What other tests left open is out of the way. */
  beforeEach(async () => {
    await house.database.rows(`update batches set status = 'failed' where status <> 'failed'`);
  });

  test('each batch has so many chunks out, and gets the next as they end', async () => {
    const batchId = await house.planned(workspaceId, 10);
    const out = await house.chunks.dispatch(4, 1_000);
    expect(out.map(({ chunk }) => chunk)).toEqual([0, 1, 2, 3]);
    expect(await house.chunks.dispatch(4, 1_000)).toEqual([]);
    const chunk = (await house.chunks.claim(out[2]!, 'worker-a'))!;
    expect(await house.chunks.dispatch(4, 1_000)).toEqual([]);
    await house.chunks.commit(chunk, buildChunkResult(chunk));
    expect(await house.chunks.dispatch(4, 1_000)).toEqual([
      { batchId, chunk: 4, delivery: 1, pool: 'remote' },
    ]);
    // A smaller window takes nothing back.
    expect(await house.chunks.dispatch(1, 1_000)).toEqual([]);
  });

  test('workspaces take turns, however many batches one of them has', async () => {
    const greedy = await Promise.all(Array.from({ length: 5 }, () => house.planned(workspaceId, 20)));
    const modest = await house.planned(await house.workspace(), 20);
    const page = await house.chunks.dispatch(20, 10);
    expect(countOf(page, modest)).toBe(5);
    expect(greedy.reduce((sum, batchId) => sum + countOf(page, batchId), 0)).toBe(5);
  });

  test('two dispatchers at once hand out each chunk once, and no more than the window', async () => {
    const batches = await Promise.all(Array.from({ length: 6 }, () => house.planned(workspaceId, 30)));
    const rounds = await Promise.all(Array.from({ length: 8 }, () => house.chunks.dispatch(10, 1_000)));
    const out = [...rounds.flat(), ...(await house.chunks.dispatch(10, 1_000))];
    expect(new Set(out.map(({ batchId, chunk }) => `${batchId} ${chunk}`)).size).toBe(out.length);
    for (const batchId of batches) expect(countOf(out, batchId)).toBe(10);
    expect(out.every(({ generation }) => generation === 1)).toBe(true);
  });

  test('a batch that is not in progress has none', async () => {
    const waiting = await house.submitted(workspaceId);
    const plan = (await house.plans.claim(waiting, 1))!;
    const { buildPlan } = await import('./stores-fixture.ts');
    await house.plans.addChunks(plan, buildPlan(3));
    expect(await house.chunks.dispatch(10, 1_000)).toEqual([]);
  });
});

describe('the sweep', () => {
  const none = { batchId: '', chunk: -1 };
  const soon = { queued: 10, workerGone: 10 };
  const age = (batchId: string) =>
    house.database.rows(`update chunks set queued_at = now() - interval '1 minute' where batch_id = $1`, [
      batchId,
    ]);
  const overdue = async (batchId: string) =>
    (await house.chunks.listOverdue(soon, none, 1_000)).filter((delivery) => delivery.batchId === batchId);
  const beat = (id: string) =>
    house.workers.recordHeartbeat(
      { id, pools: ['remote'], slots: 1, host: 'h', pid: 1, version: '' },
      buildIdleState(),
    );

  test('asks after what has been queued for long, and after running chunks whose worker is gone', async () => {
    const { batchId, deliveries } = await delivered(3);
    expect(await overdue(batchId)).toEqual([]);
    await beat('alive');
    await house.chunks.claim(deliveries[1]!, 'alive');
    await house.chunks.claim(deliveries[2]!, 'dead');
    await age(batchId);
    expect((await overdue(batchId)).map(({ chunk }) => chunk)).toEqual([0, 2]);
    await house.database.rows(`update workers set seen_at = now() - interval '1 minute' where id = 'alive'`);
    expect((await overdue(batchId)).map(({ chunk }) => chunk)).toEqual([0, 1, 2]);
  });

  test('pages through them', async () => {
    const { batchId } = await delivered(5);
    await age(batchId);
    const found: number[] = [];
    for (let after = { batchId, chunk: -1 }; ;) {
      const page = await house.chunks.listOverdue(soon, after, 2);
      found.push(...page.map(({ chunk }) => chunk));
      if (page.length < 2) break;
      after = page.at(-1)!;
    }
    expect(found).toEqual([0, 1, 2, 3, 4]);
  });

  test('delivers anew once, though two sweeps try, and fences whoever still runs it', async () => {
    const { batchId, deliveries } = await delivered();
    const frozen = (await house.chunks.claim(deliveries[0]!, 'dead'))!;
    const rounds = await Promise.all([house.chunks.requeue(deliveries), house.chunks.requeue(deliveries)]);
    expect(rounds.flat()).toEqual([{ batchId, chunk: 0, delivery: 2, pool: 'remote' }]);
    expect(await house.chunks.requeue(deliveries)).toEqual([]);
    expect(await house.chunks.commit(frozen, buildChunkResult(frozen))).toBeNull();
    expect(await house.chunks.claim(deliveries[0]!, 'worker-a')).toBeNull();
    const chunk = (await house.chunks.claim(rounds.flat()[0]!, 'worker-b'))!;
    expect(chunk.lostAttempts).toBe(1);
    expect(await house.chunks.commit(chunk, buildChunkResult(chunk))).toEqual({ isLast: true });
    expect(await house.chunks.requeue([{ ...deliveries[0]!, generation: 2 }])).toEqual([]);
  });
});
