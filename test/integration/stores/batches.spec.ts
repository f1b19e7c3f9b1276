/** The life of a batch: create, plan, cancel, expire, finish. */
import { randomBytes } from 'node:crypto';
import { createId } from '@millrace/contracts';
import { Conflict, InvalidInput, NotFound } from '#domain';
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

async function claimAll(batchId: string) {
  const queued = (await fixture.chunkQueue.dispatch(1_000, 10_000)).filter(
    (each) => each.batchId === batchId,
  );
  return Promise.all(queued.map(async (each) => (await fixture.chunks.claim(each, 'worker-a'))!));
}

async function runAll(batchId: string, overrides: Parameters<typeof buildChunkResult>[1] = {}) {
  for (const chunk of await claimAll(batchId))
    await fixture.chunks.commit(chunk, buildChunkResult(chunk, overrides));
}

describe('create', () => {
  const create = (fileId: string, key: string | null, overrides: object = {}, hash = 'same') => {
    const input = {
      ...fixture.buildBatchBody(fileId),
      ...overrides,
      id: createId('batch'),
      kind: 'embeddings',
    };
    const idempotency = key === null ? null : { key, requestHash: Buffer.from(hash) };
    return fixture.batches.create(workspaceId, input, idempotency);
  };

  test('concurrent requests with one idempotency key create one batch', async () => {
    const fileId = await fixture.createFile(workspaceId);
    const created = await Promise.all(Array.from({ length: 12 }, () => create(fileId, 'key')));
    expect(new Set(created.map(({ batch }) => batch.id)).size).toBe(1);
    const rows = await fixture.database.rows('select 1 from batches where workspace_id = $1', [workspaceId]);
    expect(rows).toHaveLength(1);
    await expect(create(fileId, 'key', {}, 'other')).rejects.toMatchObject({
      code: 'idempotency_key_reused',
    });
  });

  test('a failed request does not use its key', async () => {
    const fileId = await fixture.createFile(workspaceId);
    await expect(create(createId('file'), 'key')).rejects.toBeInstanceOf(NotFound);
    expect((await create(fileId, 'key')).batch.status).toBe('validating');
  });

  test('requires an existing file of the workspace with the right purpose', async () => {
    const foreign = await fixture.createFile(await fixture.createWorkspace());
    const notes = await fixture.createFile(workspaceId, { purpose: 'user_data' });
    const old = await fixture.createFile(workspaceId, { expiresInS: -1 });
    const gone = await fixture.createFile(workspaceId);
    await fixture.files.delete(workspaceId, gone);
    for (const id of [foreign, old, gone]) await expect(create(id, null)).rejects.toBeInstanceOf(NotFound);
    await expect(create(notes, null)).rejects.toBeInstanceOf(InvalidInput);
  });

  test('with a concurrent deletion of its file, one of the two fails', async () => {
    for (let round = 0; round < 25; round++) {
      const fileId = await fixture.createFile(workspaceId);
      const [created, deleted] = await Promise.allSettled([
        create(fileId, null),
        fixture.files.delete(workspaceId, fileId),
      ]);
      expect([created.status, deleted.status].sort()).toEqual(['fulfilled', 'rejected']);
      if (created.status === 'rejected') expect(created.reason).toBeInstanceOf(NotFound);
      if (deleted.status === 'rejected') expect(deleted.reason).toBeInstanceOf(Conflict);
    }
  });

  test('other workspaces cannot see or cancel the batch', async () => {
    const id = await fixture.createBatch(workspaceId);
    const otherWorkspace = await fixture.createWorkspace();
    await expect(fixture.batches.get(otherWorkspace, id)).rejects.toBeInstanceOf(NotFound);
    await expect(fixture.batches.cancel(otherWorkspace, id)).rejects.toBeInstanceOf(NotFound);
    expect(await fixture.batches.list(otherWorkspace, { limit: 10, order: 'desc' })).toEqual([]);
    expect((await fixture.getBatchRow(id)).status).toBe('validating');
  });
});

describe('plan', () => {
  test('a second claim fences out the first planner', async () => {
    const batchId = await fixture.createBatch(workspaceId);
    const first = (await fixture.plans.claim(batchId, 1))!;
    expect(await fixture.plans.addChunks(first, buildPlan(2))).toBe(true);
    const second = (await fixture.plans.claim(batchId, 1))!;
    expect([first.attempt, second.attempt]).toEqual([1, 2]);
    expect(await fixture.plans.addChunks(first, buildPlan(2))).toBe(false);
    expect(await fixture.plans.accept(first, buildAcceptedPlan(2))).toBe(false);
    expect(await fixture.plans.reject(first, [])).toBe(false);
    // The first planner's chunks are deleted.
    expect(await fixture.plans.addChunks(second, buildPlan(3))).toBe(true);
    expect(await fixture.plans.accept(second, buildAcceptedPlan(3))).toBe(true);
    expect(await fixture.getBatchRow(batchId)).toMatchObject({
      status: 'in_progress',
      total: 30,
      chunkCount: 3,
    });
    expect(await fixture.listEventTypes(batchId)).toEqual(['batch.in_progress']);
    expect(await fixture.plans.accept(second, buildAcceptedPlan(3))).toBe(false);
    expect(await fixture.plans.claim(batchId, 1)).toBeNull();
  });

  test('chunks that are added during the second claim are refused or deleted', async () => {
    const batchId = await fixture.createBatch(workspaceId);
    const first = (await fixture.plans.claim(batchId, 1))!;
    const [added, second] = await Promise.all([
      fixture.plans.addChunks(first, buildPlan(50)),
      fixture.plans.claim(batchId, 1),
    ]);
    expect(typeof added).toBe('boolean');
    expect(await fixture.plans.addChunks(second!, buildPlan(4))).toBe(true);
    expect(await fixture.plans.accept(second!, buildAcceptedPlan(4))).toBe(true);
    const rows = await fixture.database.rows('select 1 from chunks where batch_id = $1', [batchId]);
    expect(rows).toHaveLength(4);
  });

  test('a stale generation claims nothing; an overdue plan is requeued once', async () => {
    const batchId = await fixture.createBatch(workspaceId);
    expect(await fixture.plans.claim(batchId, 2)).toBeNull();
    expect((await fixture.plans.listOverdue(10)).some((plan) => plan.batchId === batchId)).toBe(false);
    await fixture.database.rows(`update batches set created_at = now() - interval '1 minute' where id = $1`, [
      batchId,
    ]);
    const overdue = (await fixture.plans.listOverdue(10)).filter((plan) => plan.batchId === batchId);
    expect(overdue).toEqual([{ batchId, generation: 1 }]);
    const rounds = await Promise.all([fixture.plans.requeue(overdue), fixture.plans.requeue(overdue)]);
    expect(rounds.flat()).toEqual([{ batchId, generation: 2 }]);
    expect(await fixture.plans.claim(batchId, 1)).toBeNull();
    expect(await fixture.plans.claim(batchId, 2)).not.toBeNull();
  });

  test('a rejected batch has its errors, no chunk, and one terminal event', async () => {
    const batchId = await fixture.createBatch(workspaceId);
    const plan = (await fixture.plans.claim(batchId, 1))!;
    await fixture.plans.addChunks(plan, buildPlan(2));
    const errors = [
      { code: 'invalid_json_line', message: 'a', line: 7, param: null },
      { code: 'duplicate_custom_id', message: 'b', line: 9_000_000_000, param: 'custom_id' },
    ] as const;
    expect(await fixture.plans.reject(plan, errors)).toBe(true);
    const found = await fixture.batches.get(workspaceId, batchId);
    expect(found.batch.status).toBe('failed');
    expect(found.errors.map(({ code, message, line, param }) => ({ code, message, line, param }))).toEqual(
      errors,
    );
    expect(await fixture.database.rows('select 1 from chunks where batch_id = $1', [batchId])).toEqual([]);
    expect(await fixture.listEventTypes(batchId)).toEqual(['batch.failed']);
    await expect(fixture.batches.cancel(workspaceId, batchId)).rejects.toBeInstanceOf(Conflict);
  });
});

describe('finish', () => {
  test('concurrent calls finish a batch once: one output file, one error file, one terminal event', async () => {
    const batchId = await fixture.createPlannedBatch(workspaceId, 3);
    await runAll(batchId, { failed: 2 });
    const results = await Promise.all(
      Array.from({ length: 8 }, () => fixture.completion.finishBatch(batchId)),
    );
    expect(results.filter(Boolean)).toHaveLength(1);
    const row = await fixture.getBatchRow(batchId);
    expect(row).toMatchObject({ status: 'completed', completed: 24, failed: 6 });
    expect(await fixture.listEventTypes(batchId)).toEqual([
      'batch.in_progress',
      'batch.completed_with_errors',
      'batch.completed',
    ]);
    const files = await fixture.database.rows<{ id: string; bytes: number; lines: number }>(
      `select id, bytes, lines from files where workspace_id = $1 and purpose = 'batch_output' order by lines desc`,
      [workspaceId],
    );
    expect(files).toEqual([
      { id: row.outputFileId, bytes: 24 * 7, lines: 24 },
      { id: row.errorFileId, bytes: 6 * 3, lines: 6 },
    ]);
    const segments = await fixture.files.listSegments(workspaceId, row.outputFileId!);
    expect(segments.map(({ key }) => key)).toEqual(
      [0, 1, 2].map((index) => expect.stringContaining(`/${index}-1.output`)),
    );
    expect(segments.map(({ lines }) => lines)).toEqual([8, 8, 8]);
  });

  test('only after the last chunk; a batch that its worker did not finish is listed', async () => {
    const batchId = await fixture.createPlannedBatch(workspaceId, 2);
    const [first, second] = await claimAll(batchId);
    await fixture.chunks.commit(first!, buildChunkResult(first!));
    expect(await fixture.completion.finishBatch(batchId)).toBe(false);
    expect(await fixture.batches.listUnfinished()).not.toContain(batchId);
    await fixture.chunks.commit(second!, buildChunkResult(second!));
    expect(await fixture.batches.listUnfinished()).toContain(batchId);
    expect(await fixture.completion.finishBatch(batchId)).toBe(true);
    expect(await fixture.batches.listUnfinished()).not.toContain(batchId);
  });

  test('no output file if all lines failed', async () => {
    const batchId = await fixture.createPlannedBatch(workspaceId, 1);
    await runAll(batchId, { failed: 10 });
    await fixture.completion.finishBatch(batchId);
    expect(await fixture.getBatchRow(batchId)).toMatchObject({
      status: 'completed',
      outputFileId: null,
      errorFileId: expect.any(String),
    });
  });
});

describe('cancel', () => {
  test('before the plan is accepted: nothing runs, and the planner is fenced out', async () => {
    const batchId = await fixture.createBatch(workspaceId);
    const plan = (await fixture.plans.claim(batchId, 1))!;
    await fixture.plans.addChunks(plan, buildPlan(2));
    expect((await fixture.batches.cancel(workspaceId, batchId)).batch.status).toBe('cancelling');
    expect(await fixture.plans.addChunks(plan, buildPlan(2))).toBe(false);
    expect(await fixture.plans.accept(plan, buildAcceptedPlan(2))).toBe(false);
    expect(await fixture.plans.claim(batchId, 1)).toBeNull();
    expect(await fixture.chunkQueue.dispatch(10, 1_000)).toEqual([]);
    expect(await fixture.batches.listUnfinished()).toContain(batchId);
    expect(await fixture.completion.finishBatch(batchId)).toBe(true);
    expect(await fixture.getBatchRow(batchId)).toMatchObject({
      status: 'cancelled',
      total: 0,
      outputFileId: null,
      errorFileId: null,
    });
    expect(await fixture.listEventTypes(batchId)).toEqual(['batch.cancelling', 'batch.cancelled']);
    expect(await fixture.database.rows('select 1 from chunks where batch_id = $1', [batchId])).toEqual([]);
  });

  test('in progress: the remaining lines are recorded as not run', async () => {
    const batchId = await fixture.createPlannedBatch(workspaceId, 3);
    const [first] = await claimAll(batchId);
    await fixture.chunks.commit(first!, buildChunkResult(first!));
    await fixture.batches.cancel(workspaceId, batchId);
    const rows = await fixture.database.rows<{ index: number; generation: number }>(
      `select index, generation from chunks where batch_id = $1 and status <> 'done' order by index`,
      [batchId],
    );
    for (const { index, generation } of rows) {
      const chunk = (await fixture.chunks.claim({ batchId, chunk: index, generation }, 'worker-b'))!;
      expect(chunk.closing).toBe('cancelled');
      await fixture.chunks.commit(chunk, buildChunkResult(chunk, { canceled: 10 }));
    }
    expect(await fixture.completion.finishBatch(batchId)).toBe(true);
    expect(await fixture.getBatchRow(batchId)).toMatchObject({
      status: 'cancelled',
      completed: 10,
      canceled: 20,
      total: 30,
    });
    expect(await fixture.listEventTypes(batchId)).toEqual([
      'batch.in_progress',
      'batch.cancelling',
      'batch.cancelled',
    ]);
  });

  test('after the last chunk it is refused; otherwise it is idempotent', async () => {
    const batchId = await fixture.createPlannedBatch(workspaceId, 1);
    await runAll(batchId);
    await expect(fixture.batches.cancel(workspaceId, batchId)).rejects.toMatchObject({
      code: 'batch_not_cancellable',
    });
    await fixture.completion.finishBatch(batchId);
    await expect(fixture.batches.cancel(workspaceId, batchId)).rejects.toBeInstanceOf(Conflict);

    const other = await fixture.createPlannedBatch(workspaceId, 1);
    await Promise.all(Array.from({ length: 5 }, () => fixture.batches.cancel(workspaceId, other)));
    expect(await fixture.listEventTypes(other)).toEqual(['batch.in_progress', 'batch.cancelling']);
  });

  test('concurrent with the last commit, one of the two wins, without a deadlock', async () => {
    for (let round = 0; round < 15; round++) {
      const batchId = await fixture.createPlannedBatch(workspaceId, 1);
      const [chunk] = await claimAll(batchId);
      await Promise.allSettled([
        fixture.batches.cancel(workspaceId, batchId),
        fixture.chunks.commit(chunk!, buildChunkResult(chunk!)),
      ]);
      expect(await fixture.batches.listUnfinished()).toContain(batchId);
      expect(await fixture.completion.finishBatch(batchId)).toBe(true);
      expect(['completed', 'cancelled']).toContain((await fixture.getBatchRow(batchId)).status);
      expect((await fixture.getBatchRow(batchId)).completed).toBe(10);
    }
  });

  test('concurrent with the plan, one of the two wins, and no chunk is left over', async () => {
    for (let round = 0; round < 15; round++) {
      const batchId = await fixture.createBatch(workspaceId);
      const plan = (await fixture.plans.claim(batchId, 1))!;
      await fixture.plans.addChunks(plan, buildPlan(2));
      const [accepted] = await Promise.all([
        fixture.plans.accept(plan, buildAcceptedPlan(2)),
        fixture.batches.cancel(workspaceId, batchId),
      ]);
      const row = await fixture.getBatchRow(batchId);
      expect([row.status, row.chunkCount]).toEqual(['cancelling', accepted ? 2 : 0]);
      if (!accepted) expect(await fixture.completion.finishBatch(batchId)).toBe(true);
    }
  });
});

describe('expire', () => {
  const endWindow = (batchId: string) =>
    fixture.database.rows(`update batches set expires_at = now() - interval '1 second' where id = $1`, [
      batchId,
    ]);

  test('the remaining lines are recorded as expired, and finished lines are kept', async () => {
    const batchId = await fixture.createPlannedBatch(workspaceId, 2);
    const [first, second] = await claimAll(batchId);
    await fixture.chunks.commit(first!, buildChunkResult(first!));
    expect(await fixture.batches.expireOverdue()).not.toContain(batchId);
    await endWindow(batchId);
    const rounds = await Promise.all([fixture.batches.expireOverdue(), fixture.batches.expireOverdue()]);
    expect(rounds.flat().filter((id) => id === batchId)).toHaveLength(1);
    const again = (await fixture.chunks.claim({ batchId, chunk: 1, generation: 1 }, 'worker-b'))!;
    expect([again.closing, again.attempt]).toEqual(['expired', second!.attempt + 1]);
    await fixture.chunks.commit(again, buildChunkResult(again, { expired: 10 }));
    expect(await fixture.completion.finishBatch(batchId)).toBe(true);
    expect(await fixture.getBatchRow(batchId)).toMatchObject({
      status: 'expired',
      completed: 10,
      expired: 10,
    });
    expect(await fixture.listEventTypes(batchId)).toEqual(['batch.in_progress', 'batch.expired']);
  });

  test('a batch without a plan ends without lines', async () => {
    const batchId = await fixture.createBatch(workspaceId);
    await endWindow(batchId);
    expect(await fixture.batches.expireOverdue()).toContain(batchId);
    expect(await fixture.plans.claim(batchId, 1)).toBeNull();
    expect(await fixture.batches.listUnfinished()).toContain(batchId);
    expect(await fixture.completion.finishBatch(batchId)).toBe(true);
    expect(await fixture.getBatchRow(batchId)).toMatchObject({ status: 'expired', completed: 0, expired: 0 });
    expect(await fixture.listEventTypes(batchId)).toEqual(['batch.expired']);
  });

  test('a batch that is being cancelled does not expire', async () => {
    const batchId = await fixture.createPlannedBatch(workspaceId, 1);
    await fixture.batches.cancel(workspaceId, batchId);
    await endWindow(batchId);
    expect(await fixture.batches.expireOverdue()).not.toContain(batchId);
    expect(await fixture.getBatchRow(batchId)).toMatchObject({ closing: 'cancelled' });
  });
});

test('random claims, releases and commits by many workers count every line once', async () => {
  const batchId = await fixture.createPlannedBatch(workspaceId, 40);
  const work = async (workerId: string) => {
    for (let idle = 0; idle < 5;) {
      const queued = await fixture.chunkQueue.dispatch(6, 4);
      idle = queued.length === 0 ? idle + 1 : 0;
      for (const next of queued.filter((each) => each.batchId === batchId)) {
        const chunk = await fixture.chunks.claim(next, workerId);
        if (!chunk) continue;
        const random = randomBytes(1)[0]! / 256;
        if (random < 0.15) await fixture.chunks.release(chunk, 'failed', 'random', 0);
        else if (random < 0.3) await fixture.chunkQueue.requeue([next]);
        if (random < 0.3) {
          expect(await fixture.chunks.commit(chunk, buildChunkResult(chunk))).toBeNull();
          await fixture.database.rows(
            `update chunks set status = 'pending' where batch_id = $1 and index = $2 and status = 'queued'`,
            [batchId, chunk.index],
          );
        } else await fixture.chunks.commit(chunk, buildChunkResult(chunk, { failed: chunk.index % 3 }));
      }
    }
  };
  await Promise.all(['a', 'b', 'c', 'd'].map(work));
  expect(await fixture.completion.finishBatch(batchId)).toBe(true);
  const row = await fixture.getBatchRow(batchId);
  const [sums] = await fixture.database.rows<{ lines: number; completed: number; failed: number }>(
    `select sum(lines)::int as lines, sum(completed)::int as completed, sum(failed)::int as failed
     from chunks where batch_id = $1 and status = 'done'`,
    [batchId],
  );
  expect(sums).toEqual({ lines: 400, completed: row.completed, failed: row.failed });
  expect(row.completed + row.failed).toBe(400);
});
