/** What attempts have used: each counted once, whoever sums and whoever dies, and read without a gap. */
import { newId } from '@millrace/contracts';
import { RetentionStore, type NewTask, type TaskResult, type UsageQuery, type UsedSums } from '#database';
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

let house: StoresFixture;
let workspaceId: string;
beforeAll(async () => {
  house = await createStoresFixture();
});
afterAll(() => house?.close());
beforeEach(async () => {
  // What another test has left would be summed with what this one leaves.
  await rollUpAll(house.usage);
  workspaceId = await house.workspace();
});

const hour = 3_600;
const thisHour = () => Math.floor(Date.now() / 1_000 / hour) * hour;
const query = (over: Partial<UsageQuery> = {}): UsageQuery => ({
  ...{ from: thisHour() - hour, until: thisHour() + 2 * hour, unit: 'hour', groupBy: [] },
  ...over,
});
/** One row of everything: the turn of an hour makes two of it. */
const all = async (over: Partial<UsageQuery> = {}, of = workspaceId) => {
  const from = Math.floor(thisHour() / 86_400) * 86_400;
  const rows = await house.usage.getUsage(
    of,
    query({ from: from - 86_400, until: from + 2 * 86_400, ...over }),
  );
  return rows.reduce<Partial<Record<keyof UsedSums, number>>>((sums, row) => {
    for (const [name, value] of Object.entries(row)) {
      if (typeof value === 'number' && name !== 'start')
        sums[name as keyof UsedSums] = (sums[name as keyof UsedSums] ?? 0) + value;
    }
    return sums;
  }, {});
};
const errorsOf = async () => {
  const rows = await house.usage.getUsage(workspaceId, query());
  return rows
    .flatMap(({ errors }) => Object.entries(errors))
    .sort(([one], [other]) => (one < other ? -1 : 1));
};
const waiting = async () => {
  const [row] = await house.database.rows<{ n: number }>(
    'select count(*) as n from usage_entries where workspace_id = $1',
    [workspaceId],
  );
  return row!.n;
};

const newTask = (over: Partial<NewTask> = {}): NewTask => ({
  ...{ id: newId('task'), kind: 'chat-completion', model: 'openai/gpt', provider: 'openai', pool: 'remote' },
  ...{ input: '{"messages":[]}', inputKey: null, metadata: null, priority: 0, runAt: null, deadline: null },
  ...{ startBy: null, timeoutMs: null, fallbackModels: null, work: 1, retryOf: null, apiKeyId: 'key_a' },
  ...over,
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

async function runTask(over: Partial<NewTask> = {}, result: Partial<TaskResult> = {}): Promise<string> {
  const id = await house.tasks.create(workspaceId, newTask(over), null, 1_000);
  const claimed = (await house.tasks.claim({ taskId: id, generation: 1 }, 'w'))!;
  expect(await house.tasks.finish(claimed, { ...finished, ...result })).toBe(true);
  return id;
}

/** A batch of chunks, each committed but the last `open`. */
async function runBatch(chunks: number): Promise<string> {
  const batchId = await house.planned(workspaceId, chunks);
  for (let done = 0; done < chunks;) {
    const deliveries = (await house.chunks.dispatch(8, 100)).filter((out) => out.batchId === batchId);
    for (const delivery of deliveries) {
      const chunk = (await house.chunks.claim(delivery, 'w'))!;
      await house.chunks.commit(chunk, buildChunkResult(chunk, { failed: chunk.index === 0 ? 3 : 0 }));
    }
    done += deliveries.length;
  }
  return batchId;
}

test('the sums are the batch’s own counters, before they are rolled up, half-way and after', async () => {
  const batchId = await runBatch(5);
  const lines = 5 * linesPerChunk;
  const wanted = {
    attempts: 5,
    requests: lines,
    failedRequests: 3,
    inputTokens: (lines - 3) * 2,
    inputBytes: 500,
  };
  const { completed, failed, inputTokens } = await house.row(batchId);
  expect(wanted).toMatchObject({ failedRequests: failed, requests: completed + failed, inputTokens });
  expect(await all()).toMatchObject(wanted);
  expect(await house.usage.rollUp(2)).toBe(2);
  expect(await waiting()).toBe(3);
  expect(await all()).toMatchObject(wanted);
  await rollUpAll(house.usage);
  expect(await waiting()).toBe(0);
  expect(await all()).toMatchObject(wanted);
  expect(await errorsOf()).toEqual([['provider_error', 3]]);
});

test('a task leaves all that is known of it', async () => {
  await runTask();
  const wanted = {
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
    ...{ upstreamMs: 30, storeMs: 4, firstTokenMs: 7, firstTokens: 1, images: 0, mediaMs: 0 },
  };
  expect(await all()).toMatchObject(wanted);
  await rollUpAll(house.usage);
  expect(await all()).toMatchObject(wanted);
});

test('by model, provider, kind, key, token, and whether it was a batch', async () => {
  await runTask();
  await runTask({ apiKeyId: 'key_b' });
  await runTask({ model: 'openai/gpt' }, { model: 'hf/o/m', provider: 'hf' });
  await runBatch(1);
  for (const rolled of [false, true]) {
    if (rolled) await house.usage.rollUp(2);
    const groupBy = ['model', 'provider', 'kind', 'api_key_id', 'batch', 'token'] as const;
    const rows = await house.usage.getUsage(workspaceId, query({ groupBy }));
    const told = rows.map(({ model, provider, kind, apiKeyId, isBatch, token, requests }) =>
      [model, provider, kind, apiKeyId, isBatch, token, requests].join(' '),
    );
    expect(told).toEqual([
      'hf/o/m hf chat-completion key_a false abc 1',
      'openai/gpt openai chat-completion key_a false abc 1',
      'openai/gpt openai chat-completion key_b false abc 1',
      'sandbox/embeddings sandbox embeddings  true  10',
    ]);
  }
  expect(await all({ models: ['hf/o/m', 'x/y'] })).toMatchObject({ requests: 1 });
  expect(await all({ apiKeyIds: ['key_a'] })).toMatchObject({ requests: 2 });
  expect(await all({ kinds: ['embeddings'] })).toMatchObject({ requests: 10 });
  expect(await all({ providers: ['openai'], batch: true })).toEqual({});
  expect(await all({}, await house.workspace())).toEqual({});
});

test('tries that came to nothing are counted with why, and have used nothing', async () => {
  const id = await house.tasks.create(workspaceId, newTask(), null, 10);
  const first = (await house.tasks.claim({ taskId: id, generation: 1 }, 'w'))!;
  // The queue hands it out again: its worker was lost.
  const second = (await house.tasks.claim({ taskId: id, generation: 1 }, 'w2'))!;
  expect(await house.tasks.finish(first, finished)).toBe(false);
  await house.tasks.release(second, 'failed', 'store_unavailable', 0);
  const third = (await house.tasks.claim({ taskId: id, generation: 2 }, 'w'))!;
  const error = {
    message: 'm',
    type: 'server_error',
    param: null,
    code: 'provider_error',
    status: 500,
  } as const;
  await house.tasks.finish(third, {
    ...finished,
    status: 'failed',
    error,
    inputTokens: null,
    outputTokens: null,
  });
  const batchId = await house.planned(workspaceId, 1);
  const [delivery] = (await house.chunks.dispatch(8, 100)).filter((out) => out.batchId === batchId);
  const chunk = (await house.chunks.claim(delivery!, 'w'))!;
  await house.chunks.release(chunk, 'released', null, 0);
  for (const rolled of [false, true]) {
    if (rolled) await rollUpAll(house.usage);
    expect(await all()).toMatchObject({ attempts: 4, requests: 1, failedRequests: 1, inputTokens: 0 });
    const errors = [
      ['provider_error', 1],
      ['store_unavailable', 1],
      ['worker_lost', 1],
    ];
    expect(await errorsOf()).toEqual(errors);
  }
});

test('a process that dies while it sums has summed nothing, and who reads meanwhile sees all as it was', async () => {
  await runBatch(4);
  const before = await all();
  const dying = house.database.asSystem(async (tx) => {
    await tx.query(rollUpUsage, [3]);
    expect(await all()).toEqual(before);
    throw new Error('killed');
  });
  await expect(dying).rejects.toThrow('killed');
  expect(await waiting()).toBe(4);
  expect(await all()).toEqual(before);
  await rollUpAll(house.usage);
  expect(await all()).toEqual(before);
});

test('with two that sum, and work that ends meanwhile, nobody ever reads less than before, nor more than there is', async () => {
  const tasks = 60;
  let isOver = false;
  const sum = async () => {
    while (!isOver) await house.usage.rollUp(7);
  };
  const read = async () => {
    let seen = 0;
    while (!isOver) {
      const { attempts = 0 } = await all();
      expect(attempts).toBeGreaterThanOrEqual(seen);
      expect(attempts).toBeLessThanOrEqual(tasks);
      seen = attempts;
    }
  };
  const work = async () => {
    for (let at = 0; at < tasks / 2; at++) await runTask({ apiKeyId: `key_${at % 3}` });
  };
  const others = [sum(), sum(), read()];
  await Promise.all([work(), work()]).finally(() => (isOver = true));
  await Promise.all(others);
  await rollUpAll(house.usage);
  expect(await all()).toMatchObject({
    attempts: tasks,
    requests: tasks,
    inputTokens: tasks * 10,
    reportedCost: tasks * 500,
  });
});

test('what was used stays, whatever becomes of the task and its tries', async () => {
  const [deleted, old] = [await runTask(), await runTask()];
  await house.tasks.delete(workspaceId, deleted);
  await house.database.rows(
    `update attempts set finished_at = finished_at - interval '91 days' where task_id = $1`,
    [old],
  );
  expect(await new RetentionStore(house.database).deleteExpiredAttempts(90, 1_000)).toBe(1);
  expect(await house.tasks.listAttempts(workspaceId, old)).toEqual([]);
  await rollUpAll(house.usage);
  expect(await all()).toMatchObject({ attempts: 2, requests: 2 });
});

test('a chunk that runs again, its segments lost, was paid for twice and is counted twice', async () => {
  const batchId = await runBatch(1);
  expect(await house.chunks.reopenDamaged(batchId, async (segments) => segments.map(({ key }) => key))).toBe(
    1,
  );
  expect(await all()).toMatchObject({ attempts: 1, requests: linesPerChunk });
  const [delivery] = (await house.chunks.dispatch(8, 100)).filter((out) => out.batchId === batchId);
  const chunk = (await house.chunks.claim(delivery!, 'w'))!;
  await house.chunks.commit(chunk, buildChunkResult(chunk));
  expect(await all()).toMatchObject({ attempts: 2, requests: 2 * linesPerChunk });
  expect(await house.row(batchId)).toMatchObject({ completed: linesPerChunk });
});

test('what a token was used for since a month began, by everybody', async () => {
  const token = newId('task').slice(-12);
  const metering = { ...finished.metering, token };
  await runTask({}, { metering });
  await rollUpAll(house.usage);
  workspaceId = await house.workspace();
  await runTask({}, { metering });
  const tokens = await house.usage.listTokenUsage(new Date(Date.now() - 7 * 86_400_000));
  expect(tokens.find((one) => one.token === token)).toMatchObject({
    ...{ provider: 'openai', requests: 2, reportedCost: 1_000, reportedRequests: 2 },
  });
  expect(await house.usage.listTokenUsage(new Date(Date.now() + 3_600_000))).toEqual([]);
});

test('days are of UTC, and empty ones are left out', async () => {
  const id = await house.tasks.create(workspaceId, newTask(), null, 10);
  await house.tasks.claim({ taskId: id, generation: 1 }, 'w');
  const at = async (time: string) =>
    house.database.rows(
      `insert into usage_hours select workspace_id, $2::timestamptz, model, provider, kind, api_key_id, is_batch, token,
         1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '{}'
       from (select $1 as workspace_id, 'a/b' as model, 'a' as provider, 'k' as kind, '' as api_key_id, false as is_batch,
         '' as token) one`,
      [workspaceId, time],
    );
  for (const time of ['2026-01-01T23:00Z', '2026-01-02T00:00Z', '2026-01-02T23:00Z', '2026-01-04T00:00Z'])
    await at(time);
  const day = (text: string) => Date.parse(text) / 1_000;
  const span = { from: day('2026-01-01T00:00Z'), until: day('2026-01-04T00:00Z') };
  const rows = await house.usage.getUsage(workspaceId, query({ ...span, unit: 'day' }));
  expect(rows.map(({ start, requests }) => [start, requests])).toEqual([
    [day('2026-01-01T00:00Z'), 1],
    [day('2026-01-02T00:00Z'), 2],
  ]);
});

test('neither summing nor reading looks at the attempts, and a workspace’s hours are found by their key', async () => {
  await house.database.rows(
    `insert into usage_hours select 'ws_' || w, timestamptz '2026-01-01' + h * interval '1 hour', 'a/b', 'a', 'k', '', false, '',
       1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '{}'
     from generate_series(1, 20) w, generate_series(1, 1000) h`,
  );
  await house.database.rows('analyze usage_hours');
  const explain = async (sql: string, parameters: unknown[]) => {
    const rows = await house.database.rows<{ 'QUERY PLAN': string }>(`explain ${sql}`, parameters);
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
