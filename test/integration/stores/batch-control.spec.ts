/** A batch between its beginning and its end: held back and let go. */
import { Conflict, NotFound } from '#domain';
import type { ClaimedChunk } from '#database';
import type { QueryRunner } from 'typeorm';
import { BatchLife1763610000000 } from '../../../libs/database/migrations/1763610000000-batch-life.ts';
import {
  buildAcceptedPlan,
  createStoresFixture,
  buildPlan,
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

async function dispatched(batchId: string, window = 1_000) {
  return (await house.chunks.dispatch(window, 10_000)).filter((each) => each.batchId === batchId);
}

describe('paused', () => {
  test('what runs finishes, what waited in the queue waits here, nothing new goes out', async () => {
    const batchId = await house.planned(workspaceId, 4);
    const [first, second] = await dispatched(batchId, 2);
    const running = (await house.chunks.claim(first!, 'worker-a'))!;
    expect((await house.life.pause(workspaceId, batchId)).batch.paused).toBe(true);
    expect(await house.chunks.claim(second!, 'worker-b')).toBeNull();
    expect(await dispatched(batchId)).toEqual([]);
    expect(await house.chunks.commit(running, buildChunkResult(running))).toEqual({ isLast: false });
    expect(await dispatched(batchId)).toEqual([]);
    expect(await house.row(batchId)).toMatchObject({ status: 'in_progress', paused: true, completed: 10 });

    expect((await house.life.resume(workspaceId, batchId)).batch.paused).toBe(false);
    const rest = await dispatched(batchId);
    expect(rest.map(({ chunk, generation }) => [chunk, generation])).toEqual([
      [1, 2],
      [2, 1],
      [3, 1],
    ]);
    for (const delivery of rest) {
      const chunk = (await house.chunks.claim(delivery, 'worker-a'))!;
      await house.chunks.commit(chunk, buildChunkResult(chunk));
    }
    expect(await house.chunks.finishBatch(batchId)).toBe(true);
  });

  test('while it waits for its plan, it is planned and then held', async () => {
    const batchId = await house.submitted(workspaceId);
    await house.life.pause(workspaceId, batchId);
    const plan = (await house.plans.claim(batchId, 1))!;
    const chunk = { index: 0, firstLine: 1, lines: 10, byteStart: 0, byteLength: 100 };
    await house.plans.addChunks(plan, [chunk]);
    const accepted = { model: 'sandbox/embeddings', provider: 'sandbox', pool: 'remote' };
    expect(await house.plans.accept(plan, { ...accepted, total: 10, chunkCount: 1 })).toBe(true);
    expect(await dispatched(batchId)).toEqual([]);
    await house.life.resume(workspaceId, batchId);
    expect(await dispatched(batchId)).toHaveLength(1);
  });

  test('a cancel and the end of its window let it go on to its end', async () => {
    const cancelled = await house.planned(workspaceId, 1);
    const expired = await house.planned(workspaceId, 1);
    await house.life.pause(workspaceId, cancelled);
    await house.life.pause(workspaceId, expired);
    expect((await house.batches.cancel(workspaceId, cancelled)).batch.paused).toBe(false);
    await house.database.rows(`update batches set expires_at = now() - interval '1 second' where id = $1`, [
      expired,
    ]);
    expect(await house.batches.expireOverdue()).toContain(expired);
    const deliveries = await house.chunks.dispatch(10, 10_000);
    for (const [batchId, closing] of [
      [cancelled, 'cancelled'],
      [expired, 'expired'],
    ] as const) {
      const delivery = deliveries.find((each) => each.batchId === batchId)!;
      expect((await house.chunks.claim(delivery, 'worker-a'))!.closing).toBe(closing);
      await expect(house.life.pause(workspaceId, batchId)).rejects.toMatchObject({
        code: 'batch_not_pausable',
      });
      await expect(house.life.resume(workspaceId, batchId)).rejects.toBeInstanceOf(Conflict);
    }
  });

  test('twice is once; a batch that is over, or a stranger’s, is refused', async () => {
    const batchId = await house.planned(workspaceId, 1);
    const pauses = await Promise.all([1, 2, 3].map(() => house.life.pause(workspaceId, batchId)));
    expect(pauses.map(({ batch }) => batch.paused)).toEqual([true, true, true]);
    await expect(house.life.pause(await house.workspace(), batchId)).rejects.toBeInstanceOf(NotFound);
    await expect(house.life.resume(await house.workspace(), batchId)).rejects.toBeInstanceOf(NotFound);
    await expect(house.life.setPriority(await house.workspace(), batchId, 0)).rejects.toBeInstanceOf(
      NotFound,
    );
    await house.life.resume(workspaceId, batchId);
    expect((await house.life.resume(workspaceId, batchId)).batch.paused).toBe(false);
    const [delivery] = await dispatched(batchId);
    const chunk = (await house.chunks.claim(delivery!, 'worker-a'))!;
    await house.chunks.commit(chunk, buildChunkResult(chunk));
    await expect(house.life.pause(workspaceId, batchId)).rejects.toBeInstanceOf(Conflict);
    await expect(house.life.setPriority(workspaceId, batchId, -1)).rejects.toBeInstanceOf(Conflict);
  });

  test('against claims and commits nothing hangs and nothing is lost', async () => {
    const batchId = await house.planned(workspaceId, 60);
    let done = 0;
    const hand = async (name: string) => {
      while (done < 60) {
        for (const delivery of await dispatched(batchId, 4)) {
          const chunk = await house.chunks.claim(delivery, name);
          if (chunk && (await house.chunks.commit(chunk, buildChunkResult(chunk)))) done++;
        }
      }
    };
    const owner = async () => {
      while (done < 60) {
        await house.life.pause(workspaceId, batchId).catch(() => undefined);
        await house.life.resume(workspaceId, batchId).catch(() => undefined);
      }
    };
    await Promise.all([hand('a'), hand('b'), hand('c'), owner()]);
    expect(await house.row(batchId)).toMatchObject({ completed: 600, chunksDone: 60, status: 'finalizing' });
  });
});

describe('its chunks', () => {
  test('in pages, none before the plan is whole, and its owner’s alone', async () => {
    const batchId = await house.submitted(workspaceId);
    const plan = (await house.plans.claim(batchId, 1))!;
    await house.plans.addChunks(plan, buildPlan(5));
    expect(await house.life.listChunks(workspaceId, batchId, { limit: 10 })).toEqual([]);
    await house.plans.accept(plan, buildAcceptedPlan(5));
    const [first] = await dispatched(batchId, 1);
    const chunk = (await house.chunks.claim(first!, 'worker-a'))!;
    await house.chunks.commit(chunk, buildChunkResult(chunk, { failed: 4 }));
    const page = await house.life.listChunks(workspaceId, batchId, { limit: 2 });
    expect(page.map(({ index, status }) => [index, status])).toEqual([
      [0, 'done'],
      [1, 'pending'],
      [2, 'pending'],
    ]);
    expect(page[0]).toMatchObject({ completed: 6, failed: 4, attempt: 1, firstLine: 1, lines: 10 });
    const rest = await house.life.listChunks(workspaceId, batchId, { after: 2, limit: 2 });
    expect(rest.map(({ index }) => index)).toEqual([3, 4]);
    await expect(
      house.life.listChunks(await house.workspace(), batchId, { limit: 2 }),
    ).rejects.toBeInstanceOf(NotFound);
  });
});

describe('results so far', () => {
  const read = async (batchId: string, after: number, until: number) => {
    const keys: string[] = [];
    for await (const segments of house.results.listSegments(workspaceId, batchId, after, until))
      keys.push(...segments.map(({ key }) => key.split('/').at(-1)!));
    return keys;
  };

  test('in the order in which chunks were done, each once, to the last', async () => {
    const batchId = await house.submitted(workspaceId);
    expect(await house.results.getAvailableResults(workspaceId, batchId)).toMatchObject({
      done: 0,
      isIncomplete: true,
    });
    const plan = (await house.plans.claim(batchId, 1))!;
    await house.plans.addChunks(plan, buildPlan(3));
    await house.plans.accept(plan, buildAcceptedPlan(3));
    const claimed = await Promise.all(
      (await dispatched(batchId)).map(async (each) => (await house.chunks.claim(each, 'worker-a'))!),
    );
    await house.chunks.commit(claimed[2]!, buildChunkResult(claimed[2]!));
    await house.chunks.commit(claimed[0]!, buildChunkResult(claimed[0]!, { failed: 1 }));
    expect(await house.results.getAvailableResults(workspaceId, batchId)).toMatchObject({
      done: 2,
      isIncomplete: true,
    });
    expect(await read(batchId, 0, 2)).toEqual(['2-1.output', '0-1.output', '0-1.error']);
    expect(await read(batchId, 1, 2)).toEqual(['0-1.output', '0-1.error']);
    await house.chunks.commit(claimed[1]!, buildChunkResult(claimed[1]!));
    expect(await house.results.getAvailableResults(workspaceId, batchId)).toMatchObject({
      done: 3,
      isIncomplete: false,
    });
    await house.chunks.finishBatch(batchId);
    expect(await house.results.getAvailableResults(workspaceId, batchId)).toMatchObject({
      done: 3,
      isIncomplete: false,
    });
    expect(await read(batchId, 2, 3)).toEqual(['1-1.output']);
    await expect(house.results.getAvailableResults(await house.workspace(), batchId)).rejects.toBeInstanceOf(
      NotFound,
    );

    await house.files.delete(workspaceId, (await house.row(batchId)).errorFileId!);
    await expect(house.results.getAvailableResults(workspaceId, batchId)).rejects.toMatchObject({
      code: 'results_gone',
    });
  });

  test('a reader that follows many hands misses no chunk and sees none twice', async () => {
    const chunks = 60;
    const batchId = await house.planned(workspaceId, chunks);
    const deliveries = await dispatched(batchId);
    const hand = async (name: string) => {
      for (let next = deliveries.shift(); next; next = deliveries.shift()) {
        const chunk = (await house.chunks.claim(next, name))!;
        await house.chunks.commit(chunk, buildChunkResult(chunk));
      }
    };
    const seen: string[] = [];
    const reader = async () => {
      for (let after = 0, more = true; more;) {
        const { done, isIncomplete } = await house.results.getAvailableResults(workspaceId, batchId);
        seen.push(...(await read(batchId, after, done)));
        after = done;
        more = isIncomplete;
      }
    };
    await Promise.all([hand('a'), hand('b'), hand('c'), hand('d'), reader()]);
    expect(seen).toHaveLength(chunks);
    expect(new Set(seen).size).toBe(chunks);
  });

  test('chunks that were done before the order was kept get their places', async () => {
    const batchId = await house.planned(workspaceId, 3);
    for (const delivery of await dispatched(batchId)) {
      const chunk = (await house.chunks.claim(delivery, 'worker-a'))!;
      if (delivery.chunk < 2) await house.chunks.commit(chunk, buildChunkResult(chunk));
    }
    const life = new BatchLife1763610000000();
    const runner = { query: (sql: string) => house.database.rows(sql) } as unknown as QueryRunner;
    await life.down(runner);
    await life.up(runner);
    expect(await read(batchId, 0, 2)).toEqual(['0-1.output', '1-1.output']);
    const [running] = await house.database.rows<{ attempt: number }>(
      `select attempt from chunks where batch_id = '${batchId}' and index = 2`,
    );
    const last = { batchId, index: 2, attempt: running!.attempt, workspaceId, lines: 10 } as ClaimedChunk;
    expect(await house.chunks.commit(last, buildChunkResult(last))).toEqual({ isLast: true });
    expect(await read(batchId, 2, 3)).toEqual(['2-1.output']);
  });
});

describe('milestones and rate', () => {
  const milestones = async (batchId: string) =>
    house.database.rows<{ sequence: number; type: string; progress: number | null }>(
      `select sequence, type, (data->>'progress')::int as progress from events where subject = $1 order by sequence`,
      [batchId],
    );
  const tens = [10, 20, 30, 40, 50, 60, 70, 80, 90];

  test.each([1, 3, 7, 10, 40])('of %i chunks each tenth is told once, in order', async (chunks) => {
    const batchId = await house.planned(workspaceId, chunks);
    const deliveries = await dispatched(batchId);
    const hand = async (name: string) => {
      for (let next = deliveries.shift(); next; next = deliveries.shift()) {
        const chunk = (await house.chunks.claim(next, name))!;
        await house.chunks.commit(chunk, buildChunkResult(chunk, { failed: 1 }));
        expect(await house.chunks.commit(chunk, buildChunkResult(chunk))).toBeNull();
      }
    };
    await Promise.all(['a', 'b', 'c', 'd'].map(hand));
    await house.chunks.finishBatch(batchId);
    const facts = await milestones(batchId);
    expect(facts.map(({ type }) => type)).toEqual([
      'batch.in_progress',
      ...tens.map(() => 'batch.progress'),
      'batch.completed_with_errors',
      'batch.completed',
    ]);
    expect(facts.map(({ sequence }) => sequence)).toEqual(facts.map((_, at) => at + 1));
    expect(facts.slice(1, -2).map(({ progress }) => progress)).toEqual(tens);
    expect(await house.row(batchId)).toMatchObject({ sequence: 12 });
  });

  test('a chunk says with its facts what was counted then', async () => {
    const batchId = await house.planned(workspaceId, 4);
    const [first] = await dispatched(batchId);
    const chunk = (await house.chunks.claim(first!, 'worker-a'))!;
    await house.chunks.commit(chunk, buildChunkResult(chunk, { failed: 3 }));
    const data = await house.database.rows(
      `select data from events where subject = '${batchId}' and type = 'batch.progress' order by sequence`,
    );
    const request_counts = { total: 40, completed: 7, failed: 3 };
    expect(data).toEqual([10, 20].map((progress) => ({ data: { id: batchId, progress, request_counts } })));
  });

  test('lines that are recorded as not run reach none', async () => {
    const batchId = await house.planned(workspaceId, 2);
    await house.batches.cancel(workspaceId, batchId);
    for (const delivery of await dispatched(batchId)) {
      const chunk = (await house.chunks.claim(delivery, 'worker-a'))!;
      await house.chunks.commit(chunk, buildChunkResult(chunk, { canceled: 10 }));
    }
    await house.chunks.finishBatch(batchId);
    expect((await milestones(batchId)).map(({ type }) => type)).toEqual([
      'batch.in_progress',
      'batch.cancelling',
      'batch.cancelled',
    ]);
  });

  test('the rate follows what was done lately', async () => {
    const batchId = await house.planned(workspaceId, 4);
    const claimed = await Promise.all(
      (await dispatched(batchId)).map(async (each) => (await house.chunks.claim(each, 'worker-a'))!),
    );
    const ago = (seconds: { began: number; measured: number | null }) =>
      house.database.rows(
        `update batches set in_progress_at = clock_timestamp() - make_interval(secs => $2),
           rate_measured_at = clock_timestamp() - make_interval(secs => $3) where id = $1`,
        [batchId, seconds.began, seconds.measured],
      );
    const rateAfter = async (at: number) => {
      await house.chunks.commit(claimed[at]!, buildChunkResult(claimed[at]!));
      return (await house.batches.get(workspaceId, batchId)).batch.recentRate!;
    };
    await ago({ began: 10, measured: null });
    expect(await rateAfter(0)).toBeCloseTo(1, 1);
    // An hour of nothing, and then a chunk in a second: the hour does not count for long.
    await ago({ began: 3_600, measured: 1 });
    expect(await rateAfter(1)).toBeGreaterThan(1.2);
    await ago({ began: 3_600, measured: 90 });
    expect(await rateAfter(2)).toBeLessThan(0.3);
    await ago({ began: 1e9, measured: 1e9 });
    expect(await rateAfter(3)).toBeLessThan(0.001);
  });
});
