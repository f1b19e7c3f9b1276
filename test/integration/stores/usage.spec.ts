/** Usage of attempts: each attempt counts once, even with concurrent or crashing roll-ups, and reads are complete. */
import { createId } from '@millrace/contracts';
import { RetentionStore, type NewTask, type TaskResult, type UsageQuery, type UsageSums } from '#database';
import { rollUpUsage as rollUpAll } from '../../../apps/api/src/usage/roll-up-usage.ts';
import {
  listTokenUsage,
  buildUsageQuery,
  rollUpUsage,
} from '../../../libs/database/statements/roll-up-usage.sql.ts';
import {
  buildMetering,
  linesPerChunk,
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
  // Entries of another test would be summed together with those of this one.
  await rollUpAll(fixture.usage);
  workspaceId = await fixture.createWorkspace();
});

const hour = 3_600;
const thisHour = () => Math.floor(Date.now() / 1_000 / hour) * hour;
const buildQuery = (overrides: Partial<UsageQuery> = {}): UsageQuery => ({
  ...{ from: thisHour() - hour, until: thisHour() + 2 * hour, unit: 'hour', groupBy: [] },
  ...overrides,
});
/** Sums all rows: at the change of an hour there are two. */
const sumUsage = async (overrides: Partial<UsageQuery> = {}, ofWorkspace = workspaceId) => {
  const from = Math.floor(thisHour() / 86_400) * 86_400;
  const rows = await fixture.usage.getUsage(
    ofWorkspace,
    buildQuery({ from: from - 86_400, until: from + 2 * 86_400, ...overrides }),
  );
  return rows.reduce<Partial<Record<keyof UsageSums, number>>>((sums, row) => {
    for (const [name, value] of Object.entries(row)) {
      if (typeof value === 'number' && name !== 'start')
        sums[name as keyof UsageSums] = (sums[name as keyof UsageSums] ?? 0) + value;
    }
    return sums;
  }, {});
};
const listErrors = async () => {
  const rows = await fixture.usage.getUsage(workspaceId, buildQuery());
  return rows
    .flatMap(({ errors }) => Object.entries(errors))
    .sort(([one], [other]) => (one < other ? -1 : 1));
};
const countEntries = async () => {
  const [row] = await fixture.database.rows<{ n: number }>(
    'select count(*) as n from usage_entries where workspace_id = $1',
    [workspaceId],
  );
  return row!.n;
};

const buildTask = (overrides: Partial<NewTask> = {}): NewTask => ({
  ...{
    id: createId('task'),
    kind: 'chat-completion',
    model: 'openai/gpt',
    provider: 'openai',
    pool: 'remote',
  },
  ...{ input: '{"messages":[]}', inputKey: null, metadata: null, priority: 0, runAt: null, deadline: null },
  ...{
    startBy: null,
    timeoutMs: null,
    patienceMs: null,
    fallbackModels: null,
    work: 1,
    retryOf: null,
    apiKeyId: 'key_a',
  },
  ...overrides,
});
const finished: TaskResult = {
  ...{ status: 'succeeded', output: '{}', outputKey: null, media: null, error: null },
  ...{
    inputTokens: 10,
    outputTokens: 20,
    providerMs: 30,
    storeMs: 4,
    model: 'openai/gpt',
    provider: 'openai',
  },
  metering: buildMetering(2, {
    token: 'abc',
    firstTokenMs: 7,
    reportedCost: 500,
    reportedRequests: 1,
    estimatedCost: 600,
  }),
};

async function runTask(overrides: Partial<NewTask> = {}, result: Partial<TaskResult> = {}): Promise<string> {
  const id = await fixture.tasks.create(workspaceId, buildTask(overrides), null, 1_000);
  const claimed = (await fixture.taskRuns.claim({ taskId: id, generation: 1 }, 'w'))!;
  expect(await fixture.taskRuns.finish(claimed, { ...finished, ...result })).toBe(true);
  return id;
}

/** Runs a batch of chunks. Three lines of the first chunk fail. */
async function runBatch(chunks: number): Promise<string> {
  const batchId = await fixture.createPlannedBatch(workspaceId, chunks);
  for (let done = 0; done < chunks;) {
    const queued = (await fixture.chunkQueue.dispatch(8, 100)).filter((each) => each.batchId === batchId);
    for (const next of queued) {
      const chunk = (await fixture.chunks.claim(next, 'w'))!;
      await fixture.chunks.commit(chunk, buildChunkResult(chunk, { failed: chunk.index === 0 ? 3 : 0 }));
    }
    done += queued.length;
  }
  return batchId;
}

test('the sums equal the batch’s counters, before, during and after the roll-up', async () => {
  const batchId = await runBatch(5);
  const lines = 5 * linesPerChunk;
  const expected = {
    attempts: 5,
    requests: lines,
    failedRequests: 3,
    inputTokens: (lines - 3) * 2,
    inputBytes: 500,
  };
  const { completed, failed, inputTokens } = await fixture.getBatchRow(batchId);
  expect(expected).toMatchObject({ failedRequests: failed, requests: completed + failed, inputTokens });
  expect(await sumUsage()).toMatchObject(expected);
  expect(await fixture.usage.rollUp(2)).toBe(2);
  expect(await countEntries()).toBe(3);
  expect(await sumUsage()).toMatchObject(expected);
  await rollUpAll(fixture.usage);
  expect(await countEntries()).toBe(0);
  expect(await sumUsage()).toMatchObject(expected);
  expect(await listErrors()).toEqual([['provider_error', 3]]);
});

test('the usage of a task has all measures', async () => {
  await runTask();
  const expected = {
    ...{
      attempts: 1,
      requests: 1,
      failedRequests: 0,
      inputTokens: 10,
      outputTokens: 20,
      inputBytes: 15,
      outputBytes: 2,
    },
    ...{ reportedCost: 500, reportedRequests: 1, estimatedCost: 600, estimatedRequests: 1 },
    ...{ upstreamMs: 30, storeMs: 4, firstTokenMs: 7, firstTokenCount: 1, images: 0, mediaMs: 0 },
  };
  expect(await sumUsage()).toMatchObject(expected);
  await rollUpAll(fixture.usage);
  expect(await sumUsage()).toMatchObject(expected);
});

test('can be grouped by model, provider, kind, key, token and batch', async () => {
  await runTask();
  await runTask({ apiKeyId: 'key_b' });
  await runTask({ model: 'openai/gpt' }, { model: 'hf/o/m', provider: 'hf' });
  await runBatch(1);
  for (const isRolledUp of [false, true]) {
    if (isRolledUp) await fixture.usage.rollUp(2);
    const groupBy = ['model', 'provider', 'kind', 'api_key_id', 'batch', 'token'] as const;
    const rows = await fixture.usage.getUsage(workspaceId, buildQuery({ groupBy }));
    const groups = rows.map(({ model, provider, kind, apiKeyId, isBatch, token, requests }) =>
      [model, provider, kind, apiKeyId, isBatch, token, requests].join(' '),
    );
    expect(groups).toEqual([
      'hf/o/m hf chat-completion key_a false abc 1',
      'openai/gpt openai chat-completion key_a false abc 1',
      'openai/gpt openai chat-completion key_b false abc 1',
      'sandbox/embeddings sandbox embeddings  true  10',
    ]);
  }
  expect(await sumUsage({ models: ['hf/o/m', 'x/y'] })).toMatchObject({ requests: 1 });
  expect(await sumUsage({ apiKeyIds: ['key_a'] })).toMatchObject({ requests: 2 });
  expect(await sumUsage({ kinds: ['embeddings'] })).toMatchObject({ requests: 10 });
  expect(await sumUsage({ providers: ['openai'], batch: true })).toEqual({});
  expect(await sumUsage({}, await fixture.createWorkspace())).toEqual({});
});

test('attempts without a result count with their error, and use no tokens', async () => {
  const id = await fixture.tasks.create(workspaceId, buildTask(), null, 10);
  const first = (await fixture.taskRuns.claim({ taskId: id, generation: 1 }, 'w'))!;
  // The queue delivers the job again, because its worker crashed.
  const second = (await fixture.taskRuns.claim({ taskId: id, generation: 1 }, 'w2'))!;
  expect(await fixture.taskRuns.finish(first, finished)).toBe(false);
  await fixture.taskRuns.release(second, 'failed', 'store_unavailable', 0);
  const third = (await fixture.taskRuns.claim({ taskId: id, generation: 2 }, 'w'))!;
  const error = {
    message: 'm',
    type: 'server_error',
    param: null,
    code: 'provider_error',
    status: 500,
  } as const;
  await fixture.taskRuns.finish(third, {
    ...finished,
    status: 'failed',
    error,
    inputTokens: null,
    outputTokens: null,
  });
  const batchId = await fixture.createPlannedBatch(workspaceId, 1);
  const [queued] = (await fixture.chunkQueue.dispatch(8, 100)).filter((each) => each.batchId === batchId);
  const chunk = (await fixture.chunks.claim(queued!, 'w'))!;
  await fixture.chunks.release(chunk, 'released', null, 0);
  for (const isRolledUp of [false, true]) {
    if (isRolledUp) await rollUpAll(fixture.usage);
    expect(await sumUsage()).toMatchObject({ attempts: 4, requests: 1, failedRequests: 1, inputTokens: 0 });
    const errors = [
      ['attempt_lost', 1],
      ['provider_error', 1],
      ['store_unavailable', 1],
    ];
    expect(await listErrors()).toEqual(errors);
  }
});

test('a process that crashes during a roll-up has moved nothing, and concurrent reads are unchanged', async () => {
  await runBatch(4);
  const before = await sumUsage();
  const crashing = fixture.database.asSystem(async (transaction) => {
    await transaction.rows(rollUpUsage, [3]);
    expect(await sumUsage()).toEqual(before);
    throw new Error('killed');
  });
  await expect(crashing).rejects.toThrow('killed');
  expect(await countEntries()).toBe(4);
  expect(await sumUsage()).toEqual(before);
  await rollUpAll(fixture.usage);
  expect(await sumUsage()).toEqual(before);
});

test('with two concurrent roll-ups and ending attempts, a reader never sees less than before, nor more than there is', async () => {
  const tasks = 60;
  let isOver = false;
  const rollUp = async () => {
    while (!isOver) await fixture.usage.rollUp(7);
  };
  const read = async () => {
    let seen = 0;
    while (!isOver) {
      const { attempts = 0 } = await sumUsage();
      expect(attempts).toBeGreaterThanOrEqual(seen);
      expect(attempts).toBeLessThanOrEqual(tasks);
      seen = attempts;
    }
  };
  const work = async () => {
    for (let at = 0; at < tasks / 2; at++) await runTask({ apiKeyId: `key_${at % 3}` });
  };
  const others = [rollUp(), rollUp(), read()];
  await Promise.all([work(), work()]).finally(() => (isOver = true));
  await Promise.all(others);
  await rollUpAll(fixture.usage);
  expect(await sumUsage()).toMatchObject({
    attempts: tasks,
    requests: tasks,
    inputTokens: tasks * 10,
    reportedCost: tasks * 500,
  });
});

test('usage is kept when the task or its attempts are deleted', async () => {
  const [deleted, old] = [await runTask(), await runTask()];
  await fixture.tasks.delete(workspaceId, deleted);
  await fixture.database.rows(
    `update attempts set finished_at = finished_at - interval '91 days' where task_id = $1`,
    [old],
  );
  expect(await new RetentionStore(fixture.database).deleteExpiredAttempts(90, 1_000)).toBe(1);
  expect(await fixture.tasks.listAttempts(workspaceId, old)).toEqual([]);
  await rollUpAll(fixture.usage);
  expect(await sumUsage()).toMatchObject({ attempts: 2, requests: 2 });
});

test('a reopened chunk was paid for twice and counts twice', async () => {
  const batchId = await runBatch(1);
  expect(
    await fixture.completion.reopenDamaged(batchId, async (segments) => segments.map(({ key }) => key)),
  ).toBe(1);
  expect(await sumUsage()).toMatchObject({ attempts: 1, requests: linesPerChunk });
  const [queued] = (await fixture.chunkQueue.dispatch(8, 100)).filter((each) => each.batchId === batchId);
  const chunk = (await fixture.chunks.claim(queued!, 'w'))!;
  await fixture.chunks.commit(chunk, buildChunkResult(chunk));
  expect(await sumUsage()).toMatchObject({ attempts: 2, requests: 2 * linesPerChunk });
  expect(await fixture.getBatchRow(batchId)).toMatchObject({ completed: linesPerChunk });
});

test('the usage of a token since the start of a month, by all workspaces', async () => {
  const token = createId('task').slice(-12);
  const metering = { ...finished.metering, token };
  await runTask({}, { metering });
  await rollUpAll(fixture.usage);
  workspaceId = await fixture.createWorkspace();
  await runTask({}, { metering });
  const tokens = await fixture.usage.listTokenUsage(new Date(Date.now() - 7 * 86_400_000));
  expect(tokens.find((one) => one.token === token)).toMatchObject({
    ...{ provider: 'openai', requests: 2, reportedCost: 1_000, reportedRequests: 2 },
  });
  expect(await fixture.usage.listTokenUsage(new Date(Date.now() + 3_600_000))).toEqual([]);
});

test('days are in UTC, and empty days are omitted', async () => {
  const id = await fixture.tasks.create(workspaceId, buildTask(), null, 10);
  await fixture.taskRuns.claim({ taskId: id, generation: 1 }, 'w');
  const insertHour = async (time: string) =>
    fixture.database.rows(
      `insert into usage_hours select workspace_id, $2::timestamptz, model, provider, kind, api_key_id, is_batch, token,
         1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '{}'
       from (select $1 as workspace_id, 'a/b' as model, 'a' as provider, 'k' as kind, '' as api_key_id, false as is_batch,
         '' as token) one`,
      [workspaceId, time],
    );
  for (const time of ['2026-01-01T23:00Z', '2026-01-02T00:00Z', '2026-01-02T23:00Z', '2026-01-04T00:00Z'])
    await insertHour(time);
  const day = (text: string) => Date.parse(text) / 1_000;
  const span = { from: day('2026-01-01T00:00Z'), until: day('2026-01-04T00:00Z') };
  const rows = await fixture.usage.getUsage(workspaceId, buildQuery({ ...span, unit: 'day' }));
  expect(rows.map(({ start, requests }) => [start, requests])).toEqual([
    [day('2026-01-01T00:00Z'), 1],
    [day('2026-01-02T00:00Z'), 2],
  ]);
});

test('roll-ups and reads do not read attempts, and a workspace’s hours are found by the primary key', async () => {
  await fixture.database.rows(
    `insert into usage_hours select 'ws_' || w, timestamptz '2026-01-01' + h * interval '1 hour', 'a/b', 'a', 'k', '', false, '',
       1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '{}'
     from generate_series(1, 20) w, generate_series(1, 1000) h`,
  );
  await fixture.database.rows('analyze usage_hours');
  const explain = async (sql: string, parameters: unknown[]) => {
    const rows = await fixture.database.rows<{ 'QUERY PLAN': string }>(`explain ${sql}`, parameters);
    return rows.map((row) => row['QUERY PLAN']).join('\n');
  };
  const none = [null, null, null, null, null];
  const page = ['ws_7', new Date('2026-01-03'), new Date('2026-01-10'), 'day', ...none];
  const reading = await explain(buildUsageQuery(['model']), page);
  expect(reading).toMatch(/(Index|Bitmap).* usage_hours_pkey/);
  expect(reading).not.toMatch(/Seq Scan on usage_hours/);
  for (const plan of [
    reading,
    await explain(rollUpUsage, [1_000]),
    await explain(listTokenUsage, [new Date()]),
  ])
    expect(plan).not.toMatch(/ on (attempts|tasks|chunks|batches)/);
});
