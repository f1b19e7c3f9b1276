/** What goes into the queue next, and what comes back out: no more than the workers begin soon, in turn by lines. */
import { newId } from '@millrace/contracts';
import type { ChunkDelivery } from '#database';
import {
  buildAcceptedPlan,
  buildIdleState,
  createStoresFixture,
  buildPlan,
  buildChunkResult,
  type StoresFixture,
} from './stores-fixture.ts';

let house: StoresFixture;
let a: string;
let b: string;
beforeAll(async () => {
  house = await createStoresFixture();
});
afterAll(() => house?.close());
beforeEach(async () => {
  queue = [];
  await house.database.rows(`update batches set status = 'failed' where status <> 'failed'`);
  await house.database.rows('delete from turns');
  await house.database.rows('delete from workers');
  [a, b] = [await house.workspace(), await house.workspace()];
});

const worker = (slots: number, pools = ['remote']) => {
  const id = newId('worker');
  return house.workers
    .recordHeartbeat({ id, pools, slots, host: 'here', pid: 1, version: '' }, buildIdleState())
    .then(() => id);
};

const dispatch = (waiting = 1) => house.chunks.dispatch(1_000, 1_000, waiting);

/** A batch of chunks of so many lines each. */
async function batchOf(
  workspaceId: string,
  chunks: number,
  lines = 4_000,
  { expiresInS = 86_400, pool = 'remote' } = {},
): Promise<string> {
  const batchId = await house.submitted(workspaceId);
  const plan = (await house.plans.claim(batchId, 1))!;
  const cut = buildPlan(chunks).map((chunk, at) => ({ ...chunk, lines, firstLine: at * lines + 1 }));
  await house.plans.addChunks(plan, cut);
  await house.plans.accept(plan, { ...buildAcceptedPlan(chunks), total: chunks * lines, pool });
  await house.database.rows(
    'update batches set expires_at = created_at + make_interval(secs => $2) where id = $1',
    [batchId, expiresInS],
  );
  return batchId;
}

/** @returns false where the chunk was taken back, and the job finds nothing to claim. */
async function finish(delivery: ChunkDelivery): Promise<boolean> {
  const chunk = await house.chunks.claim(delivery, 'worker-a');
  if (chunk) await house.chunks.commit(chunk, buildChunkResult(chunk));
  return chunk !== null;
}

/** What the one slot of a test finds in its queue. */
let queue: ChunkDelivery[];

/** One slot that always runs what came first; @returns what it ran, in order. */
async function runInTurn(rounds: number): Promise<ChunkDelivery[]> {
  const ran: ChunkDelivery[] = [];
  while (ran.length < rounds) {
    queue.push(...(await dispatch()));
    const next = queue.shift();
    if (!next) break;
    if (await finish(next)) ran.push(next);
  }
  return ran;
}

describe('a pool’s room', () => {
  test('follows the slots of the workers that consume: one chunk runs and one waits for each', async () => {
    await batchOf(a, 40);
    expect(await dispatch()).toHaveLength(1);
    const id = await worker(3);
    expect(await dispatch()).toHaveLength(5);
    expect(await dispatch()).toEqual([]);
    await worker(2, ['local', 'remote']);
    await worker(50, ['gpu']);
    expect(await dispatch()).toHaveLength(4);
    // One that no longer consumes, or is no longer seen, is not counted on; what is out stays out.
    await house.database.rows('update workers set consuming = false where id = $1', [id]);
    expect(await dispatch()).toEqual([]);
    await house.database.rows(
      `update workers set consuming = true, seen_at = now() - interval '11 s' where id = $1`,
      [id],
    );
    expect(await dispatch()).toEqual([]);
    await worker(3);
    expect(await dispatch()).toEqual([]);
    await worker(1);
    expect(await dispatch()).toHaveLength(2);
  });

  test('what a worker stores takes no room: it has no more running than it has slots', async () => {
    await batchOf(a, 40);
    const id = await worker(1);
    const out = await dispatch();
    expect(out).toHaveLength(2);
    for (const delivery of out) expect(await house.chunks.claim(delivery, id)).not.toBeNull();
    // One of the two is on its way into the store: the slot has the other, and the next waits for it.
    const [third] = await dispatch();
    expect(third).toBeDefined();
    expect(await dispatch()).toEqual([]);
    expect(await house.chunks.claim(third!, id)).not.toBeNull();
    expect(await dispatch()).toHaveLength(1);
    expect(await dispatch()).toEqual([]);
  });

  test('is each pool’s own', async () => {
    await worker(2, ['remote']);
    await worker(1, ['gpu']);
    await batchOf(a, 40);
    await batchOf(a, 40, 10, { pool: 'gpu' });
    const pools = (await dispatch()).map(({ pool }) => pool).sort();
    expect(pools).toEqual(['gpu', 'gpu', 'remote', 'remote', 'remote', 'remote']);
  });

  // One that began before another's commit counts without it: the room may be passed by a chunk or two, once.
  test('dispatchers at once hand no chunk out twice, and then stop', async () => {
    await worker(4);
    await Promise.all([a, b].flatMap((id) => [batchOf(id, 20), batchOf(id, 20)]));
    const rounds = await Promise.all(Array.from({ length: 8 }, () => dispatch()));
    const out = [...rounds.flat(), ...(await dispatch())];
    expect(out.length).toBeGreaterThanOrEqual(8);
    expect(new Set(out.map(({ batchId, chunk }) => `${batchId} ${chunk}`)).size).toBe(out.length);
    expect(await dispatch()).toEqual([]);
  });
});

describe('turns', () => {
  test('a newcomer waits for what runs and for nothing else, whatever lies before it', async () => {
    await worker(1);
    const large = await batchOf(a, 250);
    const early = await runInTurn(10);
    expect(early).toHaveLength(10);
    const newcomers = await Promise.all(
      Array.from({ length: 10 }, async () => batchOf(await house.workspace(), 1, 200)),
    );
    // One of A's was waiting already, and comes back out of the queue: none of theirs costs what it does.
    const ran = await runInTurn(12);
    expect(
      ran
        .slice(0, 10)
        .map(({ batchId }) => batchId)
        .sort(),
    ).toEqual(newcomers.sort());
    expect(ran.slice(10).map(({ batchId }) => batchId)).toEqual([large, large]);
    expect((await house.row(large)).chunksDone).toBe(12);
  });

  test('what waits is taken back only for what goes before it, and is delivered anew', async () => {
    await worker(2);
    const large = await batchOf(a, 20);
    const before = await dispatch();
    expect(before).toHaveLength(4);
    const running = [await house.chunks.claim(before[0]!, 'w'), await house.chunks.claim(before[1]!, 'w')];
    expect(running.map((chunk) => chunk?.index)).toEqual([0, 1]);
    const small = await batchOf(b, 1, 200);
    expect(await dispatch()).toMatchObject([{ batchId: small, chunk: 0 }]);
    // One of the two that waited makes room, the later one; asked again, nothing moves.
    expect(await house.chunks.claim(before[3]!, 'w')).toBeNull();
    expect(await dispatch()).toEqual([]);
    await house.chunks.commit(running[0]!, buildChunkResult(running[0]!));
    const [again] = await dispatch();
    expect(again).toMatchObject({ batchId: large, chunk: 3, delivery: before[3]!.generation + 1 });
    expect(await house.chunks.claim(before[3]!, 'w')).toBeNull();
    expect(await house.chunks.claim(again!, 'w')).toMatchObject({ index: 3, attempt: 1 });
  });

  test('who sends small batches gets as many lines as who sends large ones', async () => {
    await worker(1);
    const large = await batchOf(a, 50, 1_000);
    await Promise.all(Array.from({ length: 60 }, () => batchOf(b, 1, 100)));
    const ran = await runInTurn(45);
    const ofLarge = ran.filter(({ batchId }) => batchId === large).length;
    // 100 lines cost 125 and 1,000 cost 1,025: about eight of the small go for one of the large.
    expect([4, 5, 6]).toContain(ofLarge);
  });

  test('two that always have work share it, in turn', async () => {
    await worker(1);
    const batches = [await batchOf(a, 40), await batchOf(b, 40)];
    const ran = (await runInTurn(20)).map(({ batchId }) => batches.indexOf(batchId));
    expect(ran.filter((which) => which === 0)).toHaveLength(10);
    // Never the same three times: the first round fills the queue before the other has begun.
    expect(ran.join('')).not.toMatch(/000|111/);
  });

  test('nobody saves up turns: who was away starts where the others are', async () => {
    await worker(1);
    await batchOf(b, 1);
    await runInTurn(1);
    const busy = await batchOf(a, 60);
    await runInTurn(20);
    await batchOf(b, 20);
    const ran = (await runInTurn(10)).filter(({ batchId }) => batchId === busy);
    expect(ran.length).toBeGreaterThanOrEqual(5);
  });

  test('whom the clock has passed is forgotten, and the clock is not', async () => {
    await worker(1);
    await Promise.all(Array.from({ length: 20 }, async () => batchOf(await house.workspace(), 1, 10)));
    await runInTurn(20);
    await batchOf(a, 5);
    await runInTurn(5);
    const kept = await house.database.rows<{ id: string }>(
      'select workspace_id as id from turns order by started',
    );
    expect(kept.map(({ id }) => id)).toEqual([a]);
  });
});

test('in a workspace the highest priority goes first, also when it is changed while chunks wait', async () => {
  await worker(1);
  const background = await batchOf(a, 3, 10, { expiresInS: 3_600 });
  await house.life.setPriority(a, background, -10);
  const usual = await batchOf(a, 2, 10);
  const ran = await runInTurn(3);
  expect(ran.map(({ batchId }) => batchId)).toEqual([usual, usual, background]);

  const late = await batchOf(a, 2, 10);
  await house.life.setPriority(a, late, -20);
  expect((await runInTurn(1))[0]?.batchId).toBe(background);
  await house.life.setPriority(a, late, 0);
  expect((await runInTurn(3)).map(({ batchId }) => batchId)).toEqual([late, late, background]);
});

test('in a workspace the earliest deadline goes first, then the oldest', async () => {
  await worker(1);
  const first = await batchOf(a, 2, 10);
  const second = await batchOf(a, 2, 10);
  const urgent = await batchOf(a, 2, 10, { expiresInS: 3_600 });
  const ran = (await runInTurn(6)).map(({ batchId }) => batchId);
  expect(ran).toEqual([urgent, urgent, first, first, second, second]);
});
