/** A batch from its request to its end: made once, cancelled or not, ended once. */
import { randomBytes } from 'node:crypto';
import { newId } from '@millrace/contracts';
import { Conflict, InvalidInput, NotFound } from '#domain';
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

async function claimAll(batchId: string) {
  const deliveries = (await house.chunks.dispatch(1_000, 10_000)).filter((each) => each.batchId === batchId);
  return Promise.all(deliveries.map(async (delivery) => (await house.chunks.claim(delivery, 'worker-a'))!));
}

async function runAll(batchId: string, over: Parameters<typeof buildChunkResult>[1] = {}) {
  for (const chunk of await claimAll(batchId))
    await house.chunks.commit(chunk, buildChunkResult(chunk, over));
}

describe('made', () => {
  const create = (fileId: string, key: string | null, over: object = {}, hash = 'same') => {
    const input = { ...house.body(fileId), ...over, id: newId('batch'), kind: 'embeddings' };
    const idempotency = key === null ? null : { key, requestHash: Buffer.from(hash) };
    return house.batches.create(workspaceId, input, idempotency);
  };

  test('one key makes one batch, however many ask at once', async () => {
    const fileId = await house.file(workspaceId);
    const made = await Promise.all(Array.from({ length: 12 }, () => create(fileId, 'key')));
    expect(new Set(made.map(({ batch }) => batch.id)).size).toBe(1);
    const rows = await house.database.rows('select 1 from batches where workspace_id = $1', [workspaceId]);
    expect(rows).toHaveLength(1);
    await expect(create(fileId, 'key', {}, 'other')).rejects.toMatchObject({
      code: 'idempotency_key_reused',
    });
  });

  test('a request that fails has used no key', async () => {
    const fileId = await house.file(workspaceId);
    await expect(create(newId('file'), 'key')).rejects.toBeInstanceOf(NotFound);
    expect((await create(fileId, 'key')).batch.status).toBe('validating');
  });

  test('on a file of its own workspace, of the right purpose, that is still there', async () => {
    const foreign = await house.file(await house.workspace());
    const notes = await house.file(workspaceId, { purpose: 'user_data' });
    const old = await house.file(workspaceId, { expiresInS: -1 });
    const gone = await house.file(workspaceId);
    await house.files.delete(workspaceId, gone);
    for (const id of [foreign, old, gone]) await expect(create(id, null)).rejects.toBeInstanceOf(NotFound);
    await expect(create(notes, null)).rejects.toBeInstanceOf(InvalidInput);
  });

  test('its file is deleted or read, never both', async () => {
    for (let round = 0; round < 25; round++) {
      const fileId = await house.file(workspaceId);
      const [made, deleted] = await Promise.allSettled([
        create(fileId, null),
        house.files.delete(workspaceId, fileId),
      ]);
      expect([made.status, deleted.status].sort()).toEqual(['fulfilled', 'rejected']);
      if (made.status === 'rejected') expect(made.reason).toBeInstanceOf(NotFound);
      if (deleted.status === 'rejected') expect(deleted.reason).toBeInstanceOf(Conflict);
    }
  });

  test('it is its workspace’s alone', async () => {
    const id = await house.submitted(workspaceId);
    const stranger = await house.workspace();
    await expect(house.batches.get(stranger, id)).rejects.toBeInstanceOf(NotFound);
    await expect(house.batches.cancel(stranger, id)).rejects.toBeInstanceOf(NotFound);
    expect(await house.batches.list(stranger, { limit: 10, order: 'desc' })).toEqual([]);
    expect((await house.row(id)).status).toBe('validating');
  });
});

describe('planned', () => {
  test('of two planners the second holds the plan, and the first can change nothing', async () => {
    const batchId = await house.submitted(workspaceId);
    const first = (await house.plans.claim(batchId, 1))!;
    expect(await house.plans.addChunks(first, buildPlan(2))).toBe(true);
    const second = (await house.plans.claim(batchId, 1))!;
    expect([first.attempt, second.attempt]).toEqual([1, 2]);
    expect(await house.plans.addChunks(first, buildPlan(2))).toBe(false);
    expect(await house.plans.accept(first, buildAcceptedPlan(2))).toBe(false);
    expect(await house.plans.reject(first, [])).toBe(false);
    // What the first had written is gone.
    expect(await house.plans.addChunks(second, buildPlan(3))).toBe(true);
    expect(await house.plans.accept(second, buildAcceptedPlan(3))).toBe(true);
    expect(await house.row(batchId)).toMatchObject({ status: 'in_progress', total: 30, chunkCount: 3 });
    expect(await house.facts(batchId)).toEqual(['batch.in_progress']);
    expect(await house.plans.accept(second, buildAcceptedPlan(3))).toBe(false);
    expect(await house.plans.claim(batchId, 1)).toBeNull();
  });

  test('a plan that writes while it is taken over leaves either no chunk or one that goes', async () => {
    const batchId = await house.submitted(workspaceId);
    const first = (await house.plans.claim(batchId, 1))!;
    const [added, second] = await Promise.all([
      house.plans.addChunks(first, buildPlan(50)),
      house.plans.claim(batchId, 1),
    ]);
    expect(typeof added).toBe('boolean');
    expect(await house.plans.addChunks(second!, buildPlan(4))).toBe(true);
    expect(await house.plans.accept(second!, buildAcceptedPlan(4))).toBe(true);
    const rows = await house.database.rows('select 1 from chunks where batch_id = $1', [batchId]);
    expect(rows).toHaveLength(4);
  });

  test('a stale delivery plans nothing; a lost one is delivered anew once', async () => {
    const batchId = await house.submitted(workspaceId);
    expect(await house.plans.claim(batchId, 2)).toBeNull();
    expect((await house.plans.listOverdue(10)).some((plan) => plan.batchId === batchId)).toBe(false);
    await house.database.rows(`update batches set created_at = now() - interval '1 minute' where id = $1`, [
      batchId,
    ]);
    const overdue = (await house.plans.listOverdue(10)).filter((plan) => plan.batchId === batchId);
    expect(overdue).toEqual([{ batchId, delivery: 1 }]);
    const rounds = await Promise.all([house.plans.requeue(overdue), house.plans.requeue(overdue)]);
    expect(rounds.flat()).toEqual([{ batchId, delivery: 2 }]);
    expect(await house.plans.claim(batchId, 1)).toBeNull();
    expect(await house.plans.claim(batchId, 2)).not.toBeNull();
  });

  test('rejected, it has its errors, no chunk, and one terminal fact', async () => {
    const batchId = await house.submitted(workspaceId);
    const plan = (await house.plans.claim(batchId, 1))!;
    await house.plans.addChunks(plan, buildPlan(2));
    const errors = [
      { code: 'invalid_json_line', message: 'a', line: 7, param: null },
      { code: 'duplicate_custom_id', message: 'b', line: 9_000_000_000, param: 'custom_id' },
    ] as const;
    expect(await house.plans.reject(plan, errors)).toBe(true);
    const found = await house.batches.get(workspaceId, batchId);
    expect(found.batch.status).toBe('failed');
    expect(found.errors.map(({ code, message, line, param }) => ({ code, message, line, param }))).toEqual(
      errors,
    );
    expect(await house.database.rows('select 1 from chunks where batch_id = $1', [batchId])).toEqual([]);
    expect(await house.facts(batchId)).toEqual(['batch.failed']);
    await expect(house.batches.cancel(workspaceId, batchId)).rejects.toBeInstanceOf(Conflict);
  });
});

describe('ended', () => {
  test('once, though many try at once: one file of each sort, one terminal fact', async () => {
    const batchId = await house.planned(workspaceId, 3);
    await runAll(batchId, { failed: 2 });
    const ends = await Promise.all(Array.from({ length: 8 }, () => house.chunks.finishBatch(batchId)));
    expect(ends.filter(Boolean)).toHaveLength(1);
    const row = await house.row(batchId);
    expect(row).toMatchObject({ status: 'completed', completed: 24, failed: 6 });
    expect(await house.facts(batchId)).toEqual([
      'batch.in_progress',
      'batch.completed_with_errors',
      'batch.completed',
    ]);
    const files = await house.database.rows<{ id: string; bytes: number; lines: number }>(
      `select id, bytes, lines from files where workspace_id = $1 and purpose = 'batch_output' order by lines desc`,
      [workspaceId],
    );
    expect(files).toEqual([
      { id: row.outputFileId, bytes: 24 * 7, lines: 24 },
      { id: row.errorFileId, bytes: 6 * 3, lines: 6 },
    ]);
    const segments = await house.files.listSegments(workspaceId, row.outputFileId!);
    expect(segments.map(({ key }) => key)).toEqual(
      [0, 1, 2].map((index) => expect.stringContaining(`/${index}-1.output`)),
    );
    expect(segments.map(({ lines }) => lines)).toEqual([8, 8, 8]);
  });

  test('not before its last chunk, and by the sweep where its finisher died', async () => {
    const batchId = await house.planned(workspaceId, 2);
    const [first, second] = await claimAll(batchId);
    await house.chunks.commit(first!, buildChunkResult(first!));
    expect(await house.chunks.finishBatch(batchId)).toBe(false);
    expect(await house.batches.listUnfinished()).not.toContain(batchId);
    await house.chunks.commit(second!, buildChunkResult(second!));
    expect(await house.batches.listUnfinished()).toContain(batchId);
    expect(await house.chunks.finishBatch(batchId)).toBe(true);
    expect(await house.batches.listUnfinished()).not.toContain(batchId);
  });

  test('all failed: no output file', async () => {
    const batchId = await house.planned(workspaceId, 1);
    await runAll(batchId, { failed: 10 });
    await house.chunks.finishBatch(batchId);
    expect(await house.row(batchId)).toMatchObject({
      status: 'completed',
      outputFileId: null,
      errorFileId: expect.any(String),
    });
  });
});

describe('cancelled', () => {
  test('while it waits for its plan: nothing ran, and the planner is fenced out', async () => {
    const batchId = await house.submitted(workspaceId);
    const plan = (await house.plans.claim(batchId, 1))!;
    await house.plans.addChunks(plan, buildPlan(2));
    expect((await house.batches.cancel(workspaceId, batchId)).batch.status).toBe('cancelling');
    expect(await house.plans.addChunks(plan, buildPlan(2))).toBe(false);
    expect(await house.plans.accept(plan, buildAcceptedPlan(2))).toBe(false);
    expect(await house.plans.claim(batchId, 1)).toBeNull();
    expect(await house.chunks.dispatch(10, 1_000)).toEqual([]);
    expect(await house.batches.listUnfinished()).toContain(batchId);
    expect(await house.chunks.finishBatch(batchId)).toBe(true);
    expect(await house.row(batchId)).toMatchObject({
      status: 'cancelled',
      total: 0,
      outputFileId: null,
      errorFileId: null,
    });
    expect(await house.facts(batchId)).toEqual(['batch.cancelling', 'batch.cancelled']);
    expect(await house.database.rows('select 1 from chunks where batch_id = $1', [batchId])).toEqual([]);
  });

  test('in progress: its chunks go on, to be recorded as not run', async () => {
    const batchId = await house.planned(workspaceId, 3);
    const [first] = await claimAll(batchId);
    await house.chunks.commit(first!, buildChunkResult(first!));
    await house.batches.cancel(workspaceId, batchId);
    const rows = await house.database.rows<{ index: number; delivery: number }>(
      `select index, delivery from chunks where batch_id = $1 and status <> 'done' order by index`,
      [batchId],
    );
    for (const { index, delivery: generation } of rows) {
      const chunk = (await house.chunks.claim({ batchId, chunk: index, generation }, 'worker-b'))!;
      expect(chunk.closing).toBe('cancelled');
      await house.chunks.commit(chunk, buildChunkResult(chunk, { canceled: 10 }));
    }
    expect(await house.chunks.finishBatch(batchId)).toBe(true);
    expect(await house.row(batchId)).toMatchObject({
      status: 'cancelled',
      completed: 10,
      canceled: 20,
      total: 30,
    });
    expect(await house.facts(batchId)).toEqual(['batch.in_progress', 'batch.cancelling', 'batch.cancelled']);
  });

  test('at the very end it is too late, and says so; twice is once', async () => {
    const batchId = await house.planned(workspaceId, 1);
    await runAll(batchId);
    await expect(house.batches.cancel(workspaceId, batchId)).rejects.toMatchObject({
      code: 'batch_not_cancellable',
    });
    await house.chunks.finishBatch(batchId);
    await expect(house.batches.cancel(workspaceId, batchId)).rejects.toBeInstanceOf(Conflict);

    const other = await house.planned(workspaceId, 1);
    await Promise.all(Array.from({ length: 5 }, () => house.batches.cancel(workspaceId, other)));
    expect(await house.facts(other)).toEqual(['batch.in_progress', 'batch.cancelling']);
  });

  test('against the last commit, one of the two wins and nothing hangs', async () => {
    for (let round = 0; round < 15; round++) {
      const batchId = await house.planned(workspaceId, 1);
      const [chunk] = await claimAll(batchId);
      await Promise.allSettled([
        house.batches.cancel(workspaceId, batchId),
        house.chunks.commit(chunk!, buildChunkResult(chunk!)),
      ]);
      expect(await house.batches.listUnfinished()).toContain(batchId);
      expect(await house.chunks.finishBatch(batchId)).toBe(true);
      expect(['completed', 'cancelled']).toContain((await house.row(batchId)).status);
      expect((await house.row(batchId)).completed).toBe(10);
    }
  });

  test('against its plan, one of the two wins and no chunk is left without a batch', async () => {
    for (let round = 0; round < 15; round++) {
      const batchId = await house.submitted(workspaceId);
      const plan = (await house.plans.claim(batchId, 1))!;
      await house.plans.addChunks(plan, buildPlan(2));
      const [accepted] = await Promise.all([
        house.plans.accept(plan, buildAcceptedPlan(2)),
        house.batches.cancel(workspaceId, batchId),
      ]);
      const row = await house.row(batchId);
      expect([row.status, row.chunkCount]).toEqual(['cancelling', accepted ? 2 : 0]);
      if (!accepted) expect(await house.chunks.finishBatch(batchId)).toBe(true);
    }
  });
});

describe('expired', () => {
  const overdue = (batchId: string) =>
    house.database.rows(`update batches set expires_at = now() - interval '1 second' where id = $1`, [
      batchId,
    ]);

  test('its remaining lines are recorded as such, and what was done is kept', async () => {
    const batchId = await house.planned(workspaceId, 2);
    const [first, second] = await claimAll(batchId);
    await house.chunks.commit(first!, buildChunkResult(first!));
    expect(await house.batches.expireOverdue()).not.toContain(batchId);
    await overdue(batchId);
    const rounds = await Promise.all([house.batches.expireOverdue(), house.batches.expireOverdue()]);
    expect(rounds.flat().filter((id) => id === batchId)).toHaveLength(1);
    const again = (await house.chunks.claim({ batchId, chunk: 1, generation: 1 }, 'worker-b'))!;
    expect([again.closing, again.attempt]).toEqual(['expired', second!.attempt + 1]);
    await house.chunks.commit(again, buildChunkResult(again, { expired: 10 }));
    expect(await house.chunks.finishBatch(batchId)).toBe(true);
    expect(await house.row(batchId)).toMatchObject({ status: 'expired', completed: 10, expired: 10 });
    expect(await house.facts(batchId)).toEqual(['batch.in_progress', 'batch.expired']);
  });

  test('one that was never planned ends without a line', async () => {
    const batchId = await house.submitted(workspaceId);
    await overdue(batchId);
    expect(await house.batches.expireOverdue()).toContain(batchId);
    expect(await house.plans.claim(batchId, 1)).toBeNull();
    expect(await house.batches.listUnfinished()).toContain(batchId);
    expect(await house.chunks.finishBatch(batchId)).toBe(true);
    expect(await house.row(batchId)).toMatchObject({ status: 'expired', completed: 0, expired: 0 });
    expect(await house.facts(batchId)).toEqual(['batch.expired']);
  });

  test('a cancel that comes first stays a cancel, and one that comes later becomes it', async () => {
    const batchId = await house.planned(workspaceId, 1);
    await house.batches.cancel(workspaceId, batchId);
    await overdue(batchId);
    expect(await house.batches.expireOverdue()).not.toContain(batchId);
    expect(await house.row(batchId)).toMatchObject({ closing: 'cancelled' });
  });
});

test('random work by many hands ends with every line counted once', async () => {
  const batchId = await house.planned(workspaceId, 40);
  const hand = async (name: string) => {
    for (let idle = 0; idle < 5;) {
      const deliveries = await house.chunks.dispatch(6, 4);
      idle = deliveries.length === 0 ? idle + 1 : 0;
      for (const delivery of deliveries.filter((each) => each.batchId === batchId)) {
        const chunk = await house.chunks.claim(delivery, name);
        if (!chunk) continue;
        const chance = randomBytes(1)[0]! / 256;
        if (chance < 0.15) await house.chunks.release(chunk, 'failed', 'chance', 0);
        else if (chance < 0.3) await house.chunks.requeue([delivery]);
        if (chance < 0.3) {
          expect(await house.chunks.commit(chunk, buildChunkResult(chunk))).toBeNull();
          await house.database.rows(
            `update chunks set status = 'pending' where batch_id = $1 and index = $2 and status = 'queued'`,
            [batchId, chunk.index],
          );
        } else await house.chunks.commit(chunk, buildChunkResult(chunk, { failed: chunk.index % 3 }));
      }
    }
  };
  await Promise.all(['a', 'b', 'c', 'd'].map(hand));
  expect(await house.chunks.finishBatch(batchId)).toBe(true);
  const row = await house.row(batchId);
  const [sums] = await house.database.rows<{ lines: number; completed: number; failed: number }>(
    `select sum(lines)::int as lines, sum(completed)::int as completed, sum(failed)::int as failed
     from chunks where batch_id = $1 and status = 'done'`,
    [batchId],
  );
  expect(sums).toEqual({ lines: 400, completed: row.completed, failed: row.failed });
  expect(row.completed + row.failed).toBe(400);
});
