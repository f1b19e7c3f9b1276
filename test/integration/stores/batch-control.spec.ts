/** The controls of a running batch: pause, resume, priority; its chunks, available results and milestones. */
import { Conflict, NotFound } from '#domain';
import type { ClaimedChunk } from '#database';
import type { QueryRunner } from 'typeorm';
import { BatchLife1763610000000 } from '../../../libs/database/migrations/1763610000000-batch-life.ts';
import { PlainNames1763720000000 } from '../../../libs/database/migrations/1763720000000-plain-names.ts';
import {
  buildAcceptedPlan,
  createStoresFixture,
  buildPlan,
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

async function dispatchBatch(batchId: string, window = 1_000) {
  return (await fixture.chunkQueue.dispatch(window, 10_000)).filter((each) => each.batchId === batchId);
}

describe('paused', () => {
  test('running chunks finish, queued chunks become pending, and no chunk is dispatched', async () => {
    const batchId = await fixture.createPlannedBatch(workspaceId, 4);
    const [first, second] = await dispatchBatch(batchId, 2);
    const running = (await fixture.chunks.claim(first!, 'worker-a'))!;
    expect((await fixture.batchControl.pause(workspaceId, batchId)).batch.paused).toBe(true);
    expect(await fixture.chunks.claim(second!, 'worker-b')).toBeNull();
    expect(await dispatchBatch(batchId)).toEqual([]);
    expect(await fixture.chunks.commit(running, buildChunkResult(running))).toEqual({ isLast: false });
    expect(await dispatchBatch(batchId)).toEqual([]);
    expect(await fixture.getBatchRow(batchId)).toMatchObject({
      status: 'in_progress',
      paused: true,
      completed: 10,
    });

    expect((await fixture.batchControl.resume(workspaceId, batchId)).batch.paused).toBe(false);
    const rest = await dispatchBatch(batchId);
    expect(rest.map(({ chunk, generation }) => [chunk, generation])).toEqual([
      [1, 2],
      [2, 1],
      [3, 1],
    ]);
    for (const queued of rest) {
      const chunk = (await fixture.chunks.claim(queued, 'worker-a'))!;
      await fixture.chunks.commit(chunk, buildChunkResult(chunk));
    }
    expect(await fixture.completion.finishBatch(batchId)).toBe(true);
  });

  test('before its plan, a batch is planned and stays paused', async () => {
    const batchId = await fixture.createBatch(workspaceId);
    await fixture.batchControl.pause(workspaceId, batchId);
    const plan = (await fixture.plans.claim(batchId, 1))!;
    const chunk = { index: 0, firstLine: 1, lines: 10, byteStart: 0, byteLength: 100 };
    await fixture.plans.addChunks(plan, [chunk]);
    const accepted = { model: 'sandbox/embeddings', provider: 'sandbox', pool: 'remote' };
    expect(await fixture.plans.accept(plan, { ...accepted, total: 10, chunkCount: 1 })).toBe(true);
    expect(await dispatchBatch(batchId)).toEqual([]);
    await fixture.batchControl.resume(workspaceId, batchId);
    expect(await dispatchBatch(batchId)).toHaveLength(1);
  });

  test('cancelling and the end of its completion window end the pause', async () => {
    const cancelled = await fixture.createPlannedBatch(workspaceId, 1);
    const expired = await fixture.createPlannedBatch(workspaceId, 1);
    await fixture.batchControl.pause(workspaceId, cancelled);
    await fixture.batchControl.pause(workspaceId, expired);
    expect((await fixture.batches.cancel(workspaceId, cancelled)).batch.paused).toBe(false);
    await fixture.database.rows(`update batches set expires_at = now() - interval '1 second' where id = $1`, [
      expired,
    ]);
    expect(await fixture.batches.expireOverdue()).toContain(expired);
    const queued = await fixture.chunkQueue.dispatch(10, 10_000);
    for (const [batchId, closing] of [
      [cancelled, 'cancelled'],
      [expired, 'expired'],
    ] as const) {
      const chunk = queued.find((each) => each.batchId === batchId)!;
      expect((await fixture.chunks.claim(chunk, 'worker-a'))!.closing).toBe(closing);
      await expect(fixture.batchControl.pause(workspaceId, batchId)).rejects.toMatchObject({
        code: 'batch_not_pausable',
      });
      await expect(fixture.batchControl.resume(workspaceId, batchId)).rejects.toBeInstanceOf(Conflict);
    }
  });

  test('pausing is idempotent; a batch that has ended, or of another workspace, is refused', async () => {
    const batchId = await fixture.createPlannedBatch(workspaceId, 1);
    const pauses = await Promise.all([1, 2, 3].map(() => fixture.batchControl.pause(workspaceId, batchId)));
    expect(pauses.map(({ batch }) => batch.paused)).toEqual([true, true, true]);
    await expect(fixture.batchControl.pause(await fixture.createWorkspace(), batchId)).rejects.toBeInstanceOf(
      NotFound,
    );
    await expect(
      fixture.batchControl.resume(await fixture.createWorkspace(), batchId),
    ).rejects.toBeInstanceOf(NotFound);
    await expect(
      fixture.batchControl.setPriority(await fixture.createWorkspace(), batchId, 0),
    ).rejects.toBeInstanceOf(NotFound);
    await fixture.batchControl.resume(workspaceId, batchId);
    expect((await fixture.batchControl.resume(workspaceId, batchId)).batch.paused).toBe(false);
    const [queued] = await dispatchBatch(batchId);
    const chunk = (await fixture.chunks.claim(queued!, 'worker-a'))!;
    await fixture.chunks.commit(chunk, buildChunkResult(chunk));
    await expect(fixture.batchControl.pause(workspaceId, batchId)).rejects.toBeInstanceOf(Conflict);
    await expect(fixture.batchControl.setPriority(workspaceId, batchId, -1)).rejects.toBeInstanceOf(Conflict);
  });

  test('concurrent pauses, claims and commits do not deadlock, and every line is counted', async () => {
    const batchId = await fixture.createPlannedBatch(workspaceId, 60);
    let done = 0;
    const work = async (workerId: string) => {
      while (done < 60) {
        for (const queued of await dispatchBatch(batchId, 4)) {
          const chunk = await fixture.chunks.claim(queued, workerId);
          if (chunk && (await fixture.chunks.commit(chunk, buildChunkResult(chunk)))) done++;
        }
      }
    };
    const owner = async () => {
      while (done < 60) {
        await fixture.batchControl.pause(workspaceId, batchId).catch(() => undefined);
        await fixture.batchControl.resume(workspaceId, batchId).catch(() => undefined);
      }
    };
    await Promise.all([work('a'), work('b'), work('c'), owner()]);
    expect(await fixture.getBatchRow(batchId)).toMatchObject({
      completed: 600,
      chunksDone: 60,
      status: 'finalizing',
    });
  });
});

describe('listChunks', () => {
  test('returns pages, none before the plan is accepted, and only to its workspace', async () => {
    const batchId = await fixture.createBatch(workspaceId);
    const plan = (await fixture.plans.claim(batchId, 1))!;
    await fixture.plans.addChunks(plan, buildPlan(5));
    expect(await fixture.batchControl.listChunks(workspaceId, batchId, { limit: 10 })).toEqual([]);
    await fixture.plans.accept(plan, buildAcceptedPlan(5));
    const [first] = await dispatchBatch(batchId, 1);
    const chunk = (await fixture.chunks.claim(first!, 'worker-a'))!;
    await fixture.chunks.commit(chunk, buildChunkResult(chunk, { failed: 4 }));
    const page = await fixture.batchControl.listChunks(workspaceId, batchId, { limit: 2 });
    expect(page.map(({ index, status }) => [index, status])).toEqual([
      [0, 'done'],
      [1, 'pending'],
      [2, 'pending'],
    ]);
    expect(page[0]).toMatchObject({ completed: 6, failed: 4, attempt: 1, firstLine: 1, lines: 10 });
    const rest = await fixture.batchControl.listChunks(workspaceId, batchId, { after: 2, limit: 2 });
    expect(rest.map(({ index }) => index)).toEqual([3, 4]);
    await expect(
      fixture.batchControl.listChunks(await fixture.createWorkspace(), batchId, { limit: 2 }),
    ).rejects.toBeInstanceOf(NotFound);
  });
});

describe('available results', () => {
  const read = async (batchId: string, after: number, until: number) => {
    const keys: string[] = [];
    for await (const segments of fixture.results.listSegments(workspaceId, batchId, after, until))
      keys.push(...segments.map(({ key }) => key.split('/').at(-1)!));
    return keys;
  };

  test('come in the completion order of the chunks, each once', async () => {
    const batchId = await fixture.createBatch(workspaceId);
    expect(await fixture.results.getAvailableResults(workspaceId, batchId)).toMatchObject({
      done: 0,
      isIncomplete: true,
    });
    const plan = (await fixture.plans.claim(batchId, 1))!;
    await fixture.plans.addChunks(plan, buildPlan(3));
    await fixture.plans.accept(plan, buildAcceptedPlan(3));
    const claimed = await Promise.all(
      (await dispatchBatch(batchId)).map(async (each) => (await fixture.chunks.claim(each, 'worker-a'))!),
    );
    await fixture.chunks.commit(claimed[2]!, buildChunkResult(claimed[2]!));
    await fixture.chunks.commit(claimed[0]!, buildChunkResult(claimed[0]!, { failed: 1 }));
    expect(await fixture.results.getAvailableResults(workspaceId, batchId)).toMatchObject({
      done: 2,
      isIncomplete: true,
    });
    expect(await read(batchId, 0, 2)).toEqual(['2-1.output', '0-1.output', '0-1.error']);
    expect(await read(batchId, 1, 2)).toEqual(['0-1.output', '0-1.error']);
    await fixture.chunks.commit(claimed[1]!, buildChunkResult(claimed[1]!));
    expect(await fixture.results.getAvailableResults(workspaceId, batchId)).toMatchObject({
      done: 3,
      isIncomplete: false,
    });
    await fixture.completion.finishBatch(batchId);
    expect(await fixture.results.getAvailableResults(workspaceId, batchId)).toMatchObject({
      done: 3,
      isIncomplete: false,
    });
    expect(await read(batchId, 2, 3)).toEqual(['1-1.output']);
    await expect(
      fixture.results.getAvailableResults(await fixture.createWorkspace(), batchId),
    ).rejects.toBeInstanceOf(NotFound);

    await fixture.files.delete(workspaceId, (await fixture.getBatchRow(batchId)).errorFileId!);
    await expect(fixture.results.getAvailableResults(workspaceId, batchId)).rejects.toMatchObject({
      code: 'results_gone',
    });
  });

  test('a reader concurrent with many workers reads every chunk once', async () => {
    const chunks = 60;
    const batchId = await fixture.createPlannedBatch(workspaceId, chunks);
    const queued = await dispatchBatch(batchId);
    const work = async (workerId: string) => {
      for (let next = queued.shift(); next; next = queued.shift()) {
        const chunk = (await fixture.chunks.claim(next, workerId))!;
        await fixture.chunks.commit(chunk, buildChunkResult(chunk));
      }
    };
    const seen: string[] = [];
    const reader = async () => {
      for (let after = 0, more = true; more;) {
        const { done, isIncomplete } = await fixture.results.getAvailableResults(workspaceId, batchId);
        seen.push(...(await read(batchId, after, done)));
        after = done;
        more = isIncomplete;
      }
    };
    await Promise.all([work('a'), work('b'), work('c'), work('d'), reader()]);
    expect(seen).toHaveLength(chunks);
    expect(new Set(seen).size).toBe(chunks);
  });

  test('a migration numbers the chunks that were done before completion order was recorded', async () => {
    const batchId = await fixture.createPlannedBatch(workspaceId, 3);
    for (const queued of await dispatchBatch(batchId)) {
      const chunk = (await fixture.chunks.claim(queued, 'worker-a'))!;
      if (queued.chunk < 2) await fixture.chunks.commit(chunk, buildChunkResult(chunk));
    }
    const batchLife = new BatchLife1763610000000();
    const runner = { query: (sql: string) => fixture.database.rows(sql) } as unknown as QueryRunner;
    const plainNames = new PlainNames1763720000000();
    await plainNames.down(runner);
    await batchLife.down(runner);
    await batchLife.up(runner);
    await plainNames.up(runner);
    expect(await read(batchId, 0, 2)).toEqual(['0-1.output', '1-1.output']);
    const [running] = await fixture.database.rows<{ attempt: number }>(
      `select attempt from chunks where batch_id = '${batchId}' and index = 2`,
    );
    const last = { batchId, index: 2, attempt: running!.attempt, workspaceId, lines: 10 } as ClaimedChunk;
    expect(await fixture.chunks.commit(last, buildChunkResult(last))).toEqual({ isLast: true });
    expect(await read(batchId, 2, 3)).toEqual(['2-1.output']);
  });
});

describe('milestones and rate', () => {
  const listEvents = async (batchId: string) =>
    fixture.database.rows<{ sequence: number; type: string; progress: number | null }>(
      `select sequence, type, (data->>'progress')::int as progress from events where subject = $1 order by sequence`,
      [batchId],
    );
  const tens = [10, 20, 30, 40, 50, 60, 70, 80, 90];

  test.each([
    [1, [90]],
    [2, [50, 90]],
    [3, [30, 60, 90]],
    [7, [10, 20, 40, 50, 70, 80, 90]],
    [10, tens],
    [40, tens],
  ])(
    'with %i chunks, each commit writes the highest milestone that it passes',
    async (chunks, milestones) => {
      const batchId = await fixture.createPlannedBatch(workspaceId, chunks);
      const queued = await dispatchBatch(batchId);
      const work = async (workerId: string) => {
        for (let next = queued.shift(); next; next = queued.shift()) {
          const chunk = (await fixture.chunks.claim(next, workerId))!;
          await fixture.chunks.commit(chunk, buildChunkResult(chunk, { failed: 1 }));
          expect(await fixture.chunks.commit(chunk, buildChunkResult(chunk))).toBeNull();
        }
      };
      await Promise.all(['a', 'b', 'c', 'd'].map(work));
      await fixture.completion.finishBatch(batchId);
      const events = await listEvents(batchId);
      expect(events.map(({ type }) => type)).toEqual([
        'batch.in_progress',
        ...milestones.map(() => 'batch.progress'),
        'batch.completed_with_errors',
        'batch.completed',
      ]);
      expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, at) => at + 1));
      expect(events.slice(1, -2).map(({ progress }) => progress)).toEqual(milestones);
      expect(await fixture.getBatchRow(batchId)).toMatchObject({ sequence: milestones.length + 3 });
    },
  );

  test('a milestone has the request counts of its commit', async () => {
    const batchId = await fixture.createPlannedBatch(workspaceId, 4);
    const [first] = await dispatchBatch(batchId);
    const chunk = (await fixture.chunks.claim(first!, 'worker-a'))!;
    await fixture.chunks.commit(chunk, buildChunkResult(chunk, { failed: 3 }));
    const data = await fixture.database.rows(
      `select data from events where subject = '${batchId}' and type = 'batch.progress' order by sequence`,
    );
    const request_counts = { total: 40, completed: 7, failed: 3 };
    expect(data).toEqual([{ data: { id: batchId, progress: 20, request_counts } }]);
  });

  test('lines that are recorded as not run pass no milestone', async () => {
    const batchId = await fixture.createPlannedBatch(workspaceId, 2);
    await fixture.batches.cancel(workspaceId, batchId);
    for (const queued of await dispatchBatch(batchId)) {
      const chunk = (await fixture.chunks.claim(queued, 'worker-a'))!;
      await fixture.chunks.commit(chunk, buildChunkResult(chunk, { canceled: 10 }));
    }
    await fixture.completion.finishBatch(batchId);
    expect((await listEvents(batchId)).map(({ type }) => type)).toEqual([
      'batch.in_progress',
      'batch.cancelling',
      'batch.cancelled',
    ]);
  });

  test('the rate follows recent commits', async () => {
    const batchId = await fixture.createPlannedBatch(workspaceId, 4);
    const claimed = await Promise.all(
      (await dispatchBatch(batchId)).map(async (each) => (await fixture.chunks.claim(each, 'worker-a'))!),
    );
    const setAge = (seconds: { started: number; measured: number | null }) =>
      fixture.database.rows(
        `update batches set in_progress_at = clock_timestamp() - make_interval(secs => $2),
           rate_measured_at = clock_timestamp() - make_interval(secs => $3) where id = $1`,
        [batchId, seconds.started, seconds.measured],
      );
    const commitAndGetRate = async (at: number) => {
      await fixture.chunks.commit(claimed[at]!, buildChunkResult(claimed[at]!));
      return (await fixture.batches.get(workspaceId, batchId)).batch.recentRate!;
    };
    await setAge({ started: 10, measured: null });
    expect(await commitAndGetRate(0)).toBeCloseTo(1, 1);
    // After an idle hour, one chunk in a second raises the rate: the hour has little weight.
    await setAge({ started: 3_600, measured: 1 });
    expect(await commitAndGetRate(1)).toBeGreaterThan(1.2);
    await setAge({ started: 3_600, measured: 90 });
    expect(await commitAndGetRate(2)).toBeLessThan(0.3);
    await setAge({ started: 1e9, measured: 1e9 });
    expect(await commitAndGetRate(3)).toBeLessThan(0.001);
  });
});
