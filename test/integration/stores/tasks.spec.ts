/** Claims, progress and ends of tasks: only the last claim holds a task, and only it or the owner can end it, once. */
import { createId } from '@millrace/contracts';
import { TaskRunStore, type ClaimedTask, type NewTask, type TaskResult } from '#database';
import { buildMetering, buildIdleState, createStoresFixture, type StoresFixture } from './stores-fixture.ts';

let fixture: StoresFixture;
let workspaceId: string;
beforeAll(async () => {
  fixture = await createStoresFixture();
});
afterAll(() => fixture?.close());
beforeEach(async () => {
  workspaceId = await fixture.createWorkspace();
});

const input = { model: 'sandbox/embeddings', input: 'a \u0000 and a lone \ud800', encoding_format: 'float' };
const buildTask = (overrides: Partial<NewTask> = {}): NewTask => ({
  id: createId('task'),
  kind: 'embeddings',
  model: 'sandbox/embeddings',
  provider: 'sandbox',
  pool: 'remote',
  input: JSON.stringify(input),
  inputKey: null,
  metadata: { job: 'x' },
  priority: 0,
  runAt: null,
  deadline: null,
  startBy: null,
  timeoutMs: null,
  patienceMs: null,
  fallbackModels: null,
  work: 1,
  retryOf: null,
  apiKeyId: null,
  ...overrides,
});

const createTask = (overrides: Partial<NewTask> = {}, maxPending = 100) =>
  fixture.tasks.create(workspaceId, buildTask(overrides), null, maxPending);
const claim = (taskId: string, workerId = 'worker-a', generation = 1) =>
  fixture.taskRuns.claim({ taskId, generation }, workerId);
const succeeded: TaskResult = {
  status: 'succeeded',
  output: '{"data":[0.1,1e-7]}',
  outputKey: null,
  media: null,
  error: null,
  inputTokens: 3,
  outputTokens: 0,
  providerMs: 1.2,
  storeMs: 0,
  model: 'sandbox/embeddings',
  provider: 'sandbox',
  metering: buildMetering(20),
};
const listEvents = async (id: string) =>
  (
    await fixture.database.rows<{ type: string; terminal: boolean }>(
      'select type, terminal from events where subject = $1 order by sequence',
      [id],
    )
  ).map(({ type, terminal }) => (terminal ? `${type}!` : type));
const listAttempts = (id: string) =>
  fixture.database.rows<{ number: number; outcome: string | null }>(
    'select number, outcome from attempts where task_id = $1 order by number',
    [id],
  );

test('create, claim and finish each append one event and take effect once', async () => {
  const id = await createTask();
  const claimed = (await claim(id))!;
  expect(claimed).toEqual({
    taskId: id,
    workspaceId,
    kind: 'embeddings',
    model: 'sandbox/embeddings',
    pool: 'remote',
    provider: 'sandbox',
    attempt: 1,
    workerId: 'worker-a',
    input,
    inputKey: null,
    lostAttempts: 0,
    failedAttempts: 0,
    wasAnswered: false,
    upstreamRunId: null,
    timeoutMs: null,
    patienceMs: null,
    ageMs: expect.any(Number) as unknown as number,
    fallbackModels: null,
    priority: 0,
    deadline: null,
  } satisfies ClaimedTask);
  expect(await fixture.taskRuns.finish(claimed, succeeded)).toBe(true);
  expect(await fixture.taskRuns.finish(claimed, succeeded)).toBe(false);
  expect(await claim(id)).toBeNull();
  expect(await listEvents(id)).toEqual(['task.queued', 'task.started', 'task.succeeded!']);
  expect(await listAttempts(id)).toEqual([{ number: 1, outcome: 'succeeded' }]);
  expect(await fixture.tasks.listEnded([id, createId('task')])).toEqual([
    { taskId: id, status: 'succeeded', output: succeeded.output, outputKey: null, error: null },
  ]);
  expect(await fixture.tasks.get(workspaceId, id)).toMatchObject({
    status: 'succeeded',
    input,
    output: { data: [0.1, 1e-7] },
    metadata: { job: 'x' },
    inputTokens: 3,
  });
});

test('the percentage never decreases, nor below the estimate that was shown', async () => {
  const id = await createTask();
  const claimed = (await claim(id))!;
  await fixture.database.rows('update tasks set estimate_ms = null where id = $1', [id]);
  const record = async (progress: object) => {
    await fixture.taskRuns.recordProgress(claimed, progress);
    return (await fixture.tasks.get(workspaceId, id)).progress;
  };
  expect(await record({ queuePosition: 3 })).toEqual({ queuePosition: 3 });
  expect(await record({ percent: 40, stage: 'rendering' })).toEqual({ percent: 40, stage: 'rendering' });
  expect(await record({ percent: 30 })).toEqual({ percent: 40 });
  expect(await record({ log: 'x' })).toEqual({ percent: 40, log: 'x' });
  // The estimate is passed before the upstream first reports progress.
  await fixture.database.rows('update tasks set progress = null, estimate_ms = 1 where id = $1', [id]);
  expect(await record({ percent: 2 })).toEqual({ percent: 2, minPercent: 95 });
  expect(await record({ percent: 3 })).toEqual({ percent: 3, minPercent: 95 });
  await fixture.taskRuns.finish(claimed, succeeded);
  expect(await fixture.taskRuns.recordProgress(claimed, { percent: 50 })).toBe(false);
});

test('progress is an event if a webhook subscribes to it: only new values, at most every five seconds', async () => {
  let now = new Date();
  const taskRuns = new TaskRunStore(fixture.database, () => now);
  const buildEndpoint = (subject: string, ...eventTypes: string[]) => ({
    ...{ id: createId('webhookEndpoint'), subject, name: 'test', url: 'https://example.com/', eventTypes },
    ...{ secretSealed: Buffer.from('sealed'), secretHint: null },
  });
  const startTask = async (...eventTypes: string[]) => {
    const id = createId('task');
    await createTask({
      id,
      ...(eventTypes.length > 0 && { webhookEndpoint: buildEndpoint(id, ...eventTypes) }),
    });
    return (await claim(id))!;
  };
  const [subscribed, other, unsubscribed] = [
    await startTask('task.progress'),
    await startTask('task.succeeded'),
    await startTask(),
  ];
  const start = now.getTime();
  for (const [afterS, percent] of [
    [0, 10],
    [1, 20],
    [4.9, 30],
    [5, 30],
    [10, 30],
    [14, 25],
    [15, 40],
  ] as const) {
    now = new Date(start + afterS * 1_000);
    for (const task of [subscribed, other, unsubscribed]) await taskRuns.recordProgress(task, { percent });
  }
  await taskRuns.recordProgress(subscribed, { stage: 'storing' });
  const events = await fixture.database.rows<{ sequence: number; data: { progress: number } }>(
    `select sequence, data from events where subject = $1 and type = 'task.progress' order by sequence`,
    [subscribed.taskId],
  );
  const data = { id: subscribed.taskId, kind: 'embeddings', model: 'sandbox/embeddings' };
  expect(events).toEqual(
    [10, 30, 40].map((progress, at) => ({ sequence: at + 3, data: { ...data, progress } })),
  );
  await taskRuns.finish(subscribed, succeeded);
  expect(await listEvents(subscribed.taskId)).toEqual([
    ...['task.queued', 'task.started', 'task.progress', 'task.progress', 'task.progress', 'task.succeeded!'],
  ]);
  for (const { taskId } of [other, unsubscribed])
    expect(await listEvents(taskId)).toEqual(['task.queued', 'task.started']);
});

test('progress is an event for a workspace’s endpoint too, unless it is disabled or its filter does not match', async () => {
  const addEndpoint = (eventTypes: string[], options: { disabled?: boolean; filter?: object } = {}) =>
    fixture.database.rows(
      `insert into webhook_endpoints (id, workspace_id, name, url, event_types, secret_sealed, metadata_filter, disabled_at)
       values ($1, $2, 'test', 'https://example.com/', $3, 'sealed', $4, case when $5 then now() end)`,
      [
        createId('webhookEndpoint'),
        workspaceId,
        eventTypes,
        options.filter ?? null,
        options.disabled ?? false,
      ],
    );
  const hasProgressEvent = async () => {
    const id = await createTask();
    await fixture.taskRuns.recordProgress((await claim(id))!, { percent: 10 });
    return (await listEvents(id)).includes('task.progress');
  };
  await addEndpoint(['batch.*']);
  await addEndpoint(['*'], { disabled: true });
  await addEndpoint(['task.*'], { filter: { job: 'y' } });
  expect(await hasProgressEvent()).toBe(false);
  await addEndpoint(['task.*'], { filter: { job: 'x' } });
  expect(await hasProgressEvent()).toBe(true);
});

test('a task and its webhook endpoint are both created, or neither is', async () => {
  const [id, endpoint] = [createId('task'), createId('webhookEndpoint')];
  const webhookEndpoint = {
    ...{ id: endpoint, subject: id, name: 'test', url: 'https://example.com/', eventTypes: ['task.*'] },
    ...{ secretSealed: Buffer.from('sealed'), secretHint: null },
  };
  await expect(createTask({ id, webhookEndpoint }, 0)).rejects.toMatchObject({
    code: 'too_many_pending_tasks',
  });
  await createTask({ id, webhookEndpoint });
  expect((await fixture.tasks.get(workspaceId, id)).webhook).toMatchObject({ id: endpoint, subject: id });
  const key = { key: 'once', requestHash: Buffer.alloc(32, 1), route: 'POST /v1/tasks' };
  const create = (nth: number) => {
    const taskId = createId('task');
    const own = { ...webhookEndpoint, id: createId('webhookEndpoint'), subject: taskId, name: `test ${nth}` };
    return fixture.tasks.create(workspaceId, buildTask({ id: taskId, webhookEndpoint: own }), key, 100);
  };
  const [first, second] = [await create(1), await create(2)];
  expect(second).toBe(first);
  expect((await fixture.tasks.get(workspaceId, first)).webhook?.name).toBe('test 1');
  expect((await fixture.tasks.get(workspaceId, await createTask())).webhook).toBeNull();
});

test('the next attempt gets the upstream’s run id, and a void attempt cannot save one', async () => {
  const id = await createTask();
  const first = (await claim(id))!;
  expect(await fixture.taskRuns.saveRunId(first, 'run-1')).toBe(true);
  const second = (await claim(id, 'worker-b'))!;
  expect(second).toMatchObject({ attempt: 2, upstreamRunId: 'run-1' });
  expect(await fixture.taskRuns.saveRunId(first, 'run-2')).toBe(false);
});

test('the provider time of an attempt whose run continues ends at its worker’s last heartbeat or its release', async () => {
  const listProviderMs = async (id: string) =>
    (await fixture.tasks.listAttempts(workspaceId, id)).map(({ outcome, providerMs }) => [
      outcome,
      providerMs,
    ]);
  const setAge = (id: string, seconds: number) =>
    fixture.database.rows(
      `update attempts set started_at = clock_timestamp() - make_interval(secs => $2)
       where task_id = $1 and outcome is null`,
      [id, seconds],
    );
  const self = { id: createId('worker'), pools: ['remote'], slots: 1, host: 'h', pid: 1, version: '' };
  await fixture.workers.recordHeartbeat(self, buildIdleState());
  const [video, chat] = [await createTask(), await createTask()];
  for (const id of [video, chat]) {
    const held = (await claim(id, self.id))!;
    if (id === video) await fixture.taskRuns.saveRunId(held, 'run-1');
    await setAge(id, 60);
  }
  await fixture.database.rows(
    `update workers set seen_at = clock_timestamp() - make_interval(secs => 20) where id = $1`,
    [self.id],
  );
  const next = (await claim(video, 'worker-b'))!;
  await claim(chat, 'worker-b');
  expect(await listProviderMs(chat)).toEqual([
    ['lost', null],
    [null, null],
  ]);
  await setAge(video, 30);
  await fixture.taskRuns.release(next, 'released', null, 0);
  const [lost, released] = await listProviderMs(video);
  expect(lost).toEqual(['lost', expect.closeTo(40_000, -3)]);
  expect(released).toEqual(['released', expect.closeTo(30_000, -3)]);
});

test('of twenty concurrent claims the last one holds the task; results of the others are void', async () => {
  const id = await createTask();
  const claims = await Promise.all(Array.from({ length: 20 }, (_, nth) => claim(id, `worker-${nth}`)));
  const newest = claims.find((claimed) => claimed!.attempt === 20)!;
  const ends = await Promise.all(claims.map((claimed) => fixture.taskRuns.finish(claimed!, succeeded)));
  expect(claims.filter((_, at) => ends[at])).toEqual([newest]);
  expect(await listEvents(id)).toEqual(['task.queued', 'task.started', 'task.succeeded!']);
});

test('two attempts with the same number are distinguished by their workers', async () => {
  const id = await createTask();
  const undone = (await claim(id, 'worker-a'))!;
  // As after a crash of the server that undid the claim.
  await fixture.database.rows(`delete from attempts where task_id = $1`, [id]);
  await fixture.database.rows(
    `update tasks set status = 'queued', attempt = 0, sequence = 1, worker_id = null where id = $1`,
    [id],
  );
  await fixture.database.rows(`delete from events where subject = $1 and sequence = 2`, [id]);
  const again = (await claim(id, 'worker-b'))!;
  expect(again.attempt).toBe(undone.attempt);
  expect(await fixture.taskRuns.finish(undone, succeeded)).toBe(false);
  expect(await fixture.taskRuns.finish(again, succeeded)).toBe(true);
});

test('a released task is due under the next generation; the earlier job is stale', async () => {
  const id = await createTask();
  const held = (await claim(id))!;
  expect(await fixture.taskRuns.release(held, 'failed', 'store_unavailable', 0)).toBe(2);
  expect(await fixture.taskRuns.release(held, 'failed', 'store_unavailable', 0)).toBeNull();
  expect(await claim(id, 'worker-b', 1)).toBeNull();
  const next = (await claim(id, 'worker-b', 2))!;
  expect(next).toMatchObject({ attempt: 2, lostAttempts: 0 });
  expect(await fixture.taskRuns.finish(held, succeeded)).toBe(false);
  expect(await listAttempts(id)).toEqual([
    { number: 1, outcome: 'failed' },
    { number: 2, outcome: null },
  ]);
});

test('its owner can cancel a pending or running task; another workspace cannot', async () => {
  const [waiting, running, ended] = [await createTask(), await createTask(), await createTask()];
  const held = (await claim(running))!;
  await fixture.taskRuns.finish((await claim(ended))!, succeeded);
  await expect(fixture.tasks.cancel(await fixture.createWorkspace(), running)).rejects.toMatchObject({
    status: 404,
  });
  for (const id of [waiting, running]) {
    expect((await fixture.tasks.cancel(workspaceId, id)).status).toBe('canceled');
    expect((await fixture.tasks.cancel(workspaceId, id)).status).toBe('canceled');
  }
  expect(await fixture.taskRuns.finish(held, succeeded)).toBe(false);
  expect(await fixture.taskRuns.release(held, 'released', null, 0)).toBeNull();
  expect(await claim(waiting)).toBeNull();
  expect(await listEvents(running)).toEqual(['task.queued', 'task.started', 'task.canceled!']);
  expect(await listAttempts(running)).toEqual([{ number: 1, outcome: 'canceled' }]);
  expect(await fixture.taskRuns.listNotHeld('worker-a', [running])).toEqual([running]);
  await expect(fixture.tasks.cancel(workspaceId, ended)).rejects.toMatchObject({
    status: 409,
    code: 'task_not_cancellable',
  });
});

test('concurrent requests with one idempotency key create one task', async () => {
  const key = { key: 'k', route: 'POST /v1/tasks', requestHash: Buffer.alloc(32, 1) };
  const ids = await Promise.all(
    Array.from({ length: 8 }, () => fixture.tasks.create(workspaceId, buildTask(), key, 100)),
  );
  expect(new Set(ids).size).toBe(1);
  const other = { ...key, requestHash: Buffer.alloc(32, 2) };
  await expect(fixture.tasks.create(workspaceId, buildTask(), other, 100)).rejects.toMatchObject({
    code: 'idempotency_key_reused',
  });
  const elsewhere = { ...other, route: 'POST /v1/embeddings' };
  expect(await fixture.tasks.create(workspaceId, buildTask(), elsewhere, 100)).not.toBe(ids[0]);
});

test('the limit of pending tasks is per workspace, and ended tasks do not count', async () => {
  const first = await createTask({}, 2);
  await createTask({}, 2);
  const refused = { status: 429, code: 'too_many_pending_tasks', retryAfterMs: expect.any(Number) };
  await expect(createTask({}, 2)).rejects.toMatchObject(refused);
  const key = { key: 'k', route: 'POST /v1/tasks', requestHash: Buffer.alloc(32) };
  await expect(fixture.tasks.create(workspaceId, buildTask(), key, 2)).rejects.toMatchObject(refused);
  await fixture.tasks.create(await fixture.createWorkspace(), buildTask(), null, 2);
  await fixture.tasks.cancel(workspaceId, first);
  // A refused request does not use its key.
  await fixture.tasks.create(workspaceId, buildTask(), key, 2);
});

test('pages are ordered and filtered, and contain no task of another workspace', async () => {
  const ids: string[] = [];
  for (let nth = 0; nth < 5; nth++) ids.push(await createTask());
  await fixture.tasks.create(await fixture.createWorkspace(), buildTask(), null, 100);
  await fixture.tasks.cancel(workspaceId, ids[2]!);
  const page = { limit: 2, order: 'asc' as const };
  const listIds = async (query: object) =>
    (await fixture.tasks.list(workspaceId, { ...page, ...query })).map(({ id }) => id);
  expect(await listIds({})).toEqual(ids.slice(0, 3));
  expect(await listIds({ after: ids[2] })).toEqual(ids.slice(3));
  expect(await listIds({ order: 'desc', limit: 10 })).toEqual(ids.toReversed());
  expect(await listIds({ status: 'canceled' })).toEqual([ids[2]]);
  expect(await listIds({ model: 'another' })).toEqual([]);
});

describe('overdue tasks', () => {
  const limits = { queued: 10, workerGone: 10 };
  const age = (ids: string[]) =>
    fixture.database.rows(`update tasks set queued_at = now() - interval '1 minute' where id = any($1)`, [
      ids,
    ]);
  const listOverdue = async (ids: string[]) =>
    (await fixture.taskQueue.listOverdue(limits, '', 1_000)).filter(({ taskId }) => ids.includes(taskId));

  test('are queued for long, or running on a worker without a heartbeat, and are requeued once', async () => {
    const ids = [await createTask(), await createTask(), await createTask()];
    const self = { id: createId('worker'), pools: ['remote'], slots: 1, host: 'h', pid: 1, version: '' };
    await fixture.workers.recordHeartbeat(self, {
      consuming: true,
      memoryBytes: 0,
      running: [],
      models: [],
      device: null,
    });
    await claim(ids[1]!, self.id);
    await claim(ids[2]!, 'worker-dead');
    expect(await listOverdue(ids)).toEqual([]);
    await age(ids);
    const overdue = await listOverdue(ids);
    expect(overdue.map(({ taskId }) => taskId)).toEqual([ids[0], ids[2]]);
    const twice = await Promise.all([fixture.taskQueue.requeue(overdue), fixture.taskQueue.requeue(overdue)]);
    expect(twice.flat().map(({ generation }) => generation)).toEqual([2, 2]);
    expect(await listOverdue(ids)).toEqual([]);
    expect(await claim(ids[2]!, 'worker-b', 2)).toMatchObject({ attempt: 2, lostAttempts: 1 });
  });
});

test('objects that a task references, or that its running attempt may still reference, are not garbage', async () => {
  const { GarbageCollectionStore } = await import('#database');
  const garbage = new GarbageCollectionStore(fixture.database);
  const running = buildTask({ input: null });
  const key = (name: string) => `${workspaceId}/tasks/${running.id}/${name}`;
  await fixture.tasks.create(workspaceId, { ...running, inputKey: key('input.json') }, null, 10);
  await claim(running.id);
  const keys = ['input.json', '1.output.json', '2.output.json', '11.output.json'].map(key);
  const old = keys.map((each) => ({ key: each, modifiedAt: new Date(Date.now() - 7_200_000) }));
  expect((await garbage.listUnreferenced(old, 3_600)).sort()).toEqual([
    key('11.output.json'),
    key('2.output.json'),
  ]);
  await fixture.taskRuns.finish(
    { taskId: running.id, attempt: 1, workerId: 'worker-a' },
    { ...succeeded, output: null, outputKey: key('1.output.json') },
  );
  expect((await garbage.listUnreferenced(old, 3_600)).sort()).toEqual([
    key('11.output.json'),
    key('2.output.json'),
  ]);
});

test('the desired state of a model can be set, changed and listed', async () => {
  await fixture.desiredModels.set('local/a', true);
  await fixture.desiredModels.set('local/b', true);
  await fixture.desiredModels.set('local/a', false);
  expect((await fixture.desiredModels.list()).map(({ model, isDesired }) => [model, isDesired])).toEqual([
    ['local/a', false],
    ['local/b', true],
  ]);
});
