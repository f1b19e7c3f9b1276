/** A task in the hands of workers: whoever claimed it last holds it, and only they or its owner can end it, once. */
import { newId } from '@millrace/contracts';
import { TaskStore, type ClaimedTask, type NewTask, type TaskResult } from '#database';
import { buildMetering, buildIdleState, createStoresFixture, type StoresFixture } from './stores-fixture.ts';

let house: StoresFixture;
let workspaceId: string;
beforeAll(async () => {
  house = await createStoresFixture();
});
afterAll(() => house?.close());
beforeEach(async () => {
  workspaceId = await house.workspace();
});

const input = { model: 'sandbox/embeddings', input: 'a \u0000 and a lone \ud800', encoding_format: 'float' };
const newTask = (over: Partial<NewTask> = {}): NewTask => ({
  id: newId('task'),
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
  fallbackModels: null,
  work: 1,
  retryOf: null,
  apiKeyId: null,
  ...over,
});

const created = (over: Partial<NewTask> = {}, maxPending = 100) =>
  house.tasks.create(workspaceId, newTask(over), null, maxPending);
const claim = (taskId: string, workerId = 'worker-a', generation = 1) =>
  house.tasks.claim({ taskId, generation }, workerId);
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
const facts = async (id: string) =>
  (
    await house.database.rows<{ type: string; terminal: boolean }>(
      'select type, terminal from events where subject = $1 order by sequence',
      [id],
    )
  ).map(({ type, terminal }) => (terminal ? `${type}!` : type));
const attempts = (id: string) =>
  house.database.rows<{ number: number; outcome: string | null }>(
    'select number, outcome from attempts where task_id = $1 order by number',
    [id],
  );

test('created, claimed, finished: each with its fact, and once', async () => {
  const id = await created();
  const claimed = (await claim(id))!;
  expect(claimed).toEqual({
    taskId: id,
    workspaceId,
    kind: 'embeddings',
    model: 'sandbox/embeddings',
    pool: 'remote',
    attempt: 1,
    workerId: 'worker-a',
    input,
    inputKey: null,
    lostAttempts: 0,
    upstreamRunId: null,
    timeoutMs: null,
    fallbackModels: null,
    priority: 0,
    deadline: null,
  } satisfies ClaimedTask);
  expect(await house.tasks.finish(claimed, succeeded)).toBe(true);
  expect(await house.tasks.finish(claimed, succeeded)).toBe(false);
  expect(await claim(id)).toBeNull();
  expect(await facts(id)).toEqual(['task.queued', 'task.started', 'task.succeeded!']);
  expect(await attempts(id)).toEqual([{ number: 1, outcome: 'succeeded' }]);
  expect(await house.tasks.listEnded([id, newId('task')])).toEqual([
    { taskId: id, status: 'succeeded', output: succeeded.output, outputKey: null, error: null },
  ]);
  expect(await house.tasks.get(workspaceId, id)).toMatchObject({
    status: 'succeeded',
    input,
    output: { data: [0.1, 1e-7] },
    metadata: { job: 'x' },
    inputTokens: 3,
  });
});

test('progress never falls, and never below what an estimate has shown', async () => {
  const id = await created();
  const claimed = (await claim(id))!;
  await house.database.rows('update tasks set estimate_ms = null where id = $1', [id]);
  const noted = async (progress: object) => {
    await house.tasks.recordProgress(claimed, progress);
    return (await house.tasks.get(workspaceId, id)).progress;
  };
  expect(await noted({ queuePosition: 3 })).toEqual({ queuePosition: 3 });
  expect(await noted({ percent: 40, stage: 'rendering' })).toEqual({ percent: 40, stage: 'rendering' });
  expect(await noted({ percent: 30 })).toEqual({ percent: 40 });
  expect(await noted({ log: 'x' })).toEqual({ percent: 40, log: 'x' });
  // A model that used to be done at once, and begins to speak late.
  await house.database.rows('update tasks set progress = null, estimate_ms = 1 where id = $1', [id]);
  expect(await noted({ percent: 2 })).toEqual({ percent: 2, floor: 95 });
  expect(await noted({ percent: 3 })).toEqual({ percent: 3, floor: 95 });
  await house.tasks.finish(claimed, succeeded);
  expect(await house.tasks.recordProgress(claimed, { percent: 50 })).toBe(false);
});

test('progress is a fact where a webhook wants it: what is news, every five seconds', async () => {
  let now = new Date();
  const tasks = new TaskStore(house.database, () => now);
  const bound = (subject: string, ...eventTypes: string[]) => ({
    ...{ id: newId('endpoint'), subject, name: 'test', url: 'https://example.com/', eventTypes },
    ...{ secretSealed: Buffer.from('sealed'), secretHint: null },
  });
  const running = async (...eventTypes: string[]) => {
    const id = newId('task');
    await created({ id, ...(eventTypes.length > 0 && { webhookEndpoint: bound(id, ...eventTypes) }) });
    return (await claim(id))!;
  };
  const [asked, other, nobody] = [
    await running('task.progress'),
    await running('task.succeeded'),
    await running(),
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
    for (const task of [asked, other, nobody]) await tasks.recordProgress(task, { percent });
  }
  await tasks.recordProgress(asked, { stage: 'storing' });
  const told = await house.database.rows<{ sequence: number; data: { progress: number } }>(
    `select sequence, data from events where subject = $1 and type = 'task.progress' order by sequence`,
    [asked.taskId],
  );
  const data = { id: asked.taskId, kind: 'embeddings', model: 'sandbox/embeddings' };
  expect(told).toEqual(
    [10, 30, 40].map((progress, at) => ({ sequence: at + 3, data: { ...data, progress } })),
  );
  await tasks.finish(asked, succeeded);
  expect(await facts(asked.taskId)).toEqual([
    ...['task.queued', 'task.started', 'task.progress', 'task.progress', 'task.progress', 'task.succeeded!'],
  ]);
  for (const { taskId } of [other, nobody])
    expect(await facts(taskId)).toEqual(['task.queued', 'task.started']);
});

test('progress is a fact for an endpoint of the workspace too, unless it is disabled or filters it out', async () => {
  const insert = (eventTypes: string[], over: { disabled?: boolean; filter?: object } = {}) =>
    house.database.rows(
      `insert into webhook_endpoints (id, workspace_id, name, url, event_types, secret_sealed, metadata_filter, disabled_at)
       values ($1, $2, 'test', 'https://example.com/', $3, 'sealed', $4, case when $5 then now() end)`,
      [newId('endpoint'), workspaceId, eventTypes, over.filter ?? null, over.disabled ?? false],
    );
  const progressed = async () => {
    const id = await created();
    await house.tasks.recordProgress((await claim(id))!, { percent: 10 });
    return (await facts(id)).includes('task.progress');
  };
  await insert(['batch.*']);
  await insert(['*'], { disabled: true });
  await insert(['task.*'], { filter: { job: 'y' } });
  expect(await progressed()).toBe(false);
  await insert(['task.*'], { filter: { job: 'x' } });
  expect(await progressed()).toBe(true);
});

test('a webhook of its own is written with the task, or neither is', async () => {
  const [id, endpoint] = [newId('task'), newId('endpoint')];
  const webhookEndpoint = {
    ...{ id: endpoint, subject: id, name: 'test', url: 'https://example.com/', eventTypes: ['task.*'] },
    ...{ secretSealed: Buffer.from('sealed'), secretHint: null },
  };
  await expect(created({ id, webhookEndpoint }, 0)).rejects.toMatchObject({ code: 'too_many_pending_tasks' });
  await created({ id, webhookEndpoint });
  expect((await house.tasks.get(workspaceId, id)).webhook).toMatchObject({ id: endpoint, subject: id });
  const key = { key: 'once', requestHash: Buffer.alloc(32, 1), route: 'POST /v1/tasks' };
  const again = (nth: number) => {
    const own = newId('task');
    const bound = { ...webhookEndpoint, id: newId('endpoint'), subject: own, name: `test ${nth}` };
    return house.tasks.create(workspaceId, newTask({ id: own, webhookEndpoint: bound }), key, 100);
  };
  const [first, second] = [await again(1), await again(2)];
  expect(second).toBe(first);
  expect((await house.tasks.get(workspaceId, first)).webhook?.name).toBe('test 1');
  expect((await house.tasks.get(workspaceId, await created())).webhook).toBeNull();
});

test('the next attempt is told of the run that was begun upstream, and a void one can’t tell', async () => {
  const id = await created();
  const first = (await claim(id))!;
  expect(await house.tasks.saveRunId(first, 'run-1')).toBe(true);
  const second = (await claim(id, 'worker-b'))!;
  expect(second).toMatchObject({ attempt: 2, upstreamRunId: 'run-1' });
  expect(await house.tasks.saveRunId(first, 'run-2')).toBe(false);
});

test('the time upstream of one that left its run to the next is known: until it was last heard of, or handed back', async () => {
  const upstreamMs = async (id: string) =>
    (await house.tasks.listAttempts(workspaceId, id)).map(({ outcome, providerMs }) => [outcome, providerMs]);
  const beganAgo = (id: string, seconds: number) =>
    house.database.rows(
      `update attempts set started_at = clock_timestamp() - make_interval(secs => $2)
       where task_id = $1 and outcome is null`,
      [id, seconds],
    );
  const self = { id: newId('worker'), pools: ['remote'], slots: 1, host: 'h', pid: 1, version: '' };
  await house.workers.recordHeartbeat(self, buildIdleState());
  const [film, answer] = [await created(), await created()];
  for (const id of [film, answer]) {
    const held = (await claim(id, self.id))!;
    if (id === film) await house.tasks.saveRunId(held, 'run-1');
    await beganAgo(id, 60);
  }
  await house.database.rows(
    `update workers set seen_at = clock_timestamp() - make_interval(secs => 20) where id = $1`,
    [self.id],
  );
  const next = (await claim(film, 'worker-b'))!;
  await claim(answer, 'worker-b');
  expect(await upstreamMs(answer)).toEqual([
    ['lost', null],
    [null, null],
  ]);
  await beganAgo(film, 30);
  await house.tasks.release(next, 'released', null, 0);
  const [lost, released] = await upstreamMs(film);
  expect(lost).toEqual(['lost', expect.closeTo(40_000, -3)]);
  expect(released).toEqual(['released', expect.closeTo(30_000, -3)]);
});

test('of twenty claims by as many workers the newest holds it; the others’ ends are void', async () => {
  const id = await created();
  const claims = await Promise.all(Array.from({ length: 20 }, (_, nth) => claim(id, `worker-${nth}`)));
  const newest = claims.find((one) => one!.attempt === 20)!;
  const ends = await Promise.all(claims.map((one) => house.tasks.finish(one!, succeeded)));
  expect(claims.filter((_, at) => ends[at])).toEqual([newest]);
  expect(await facts(id)).toEqual(['task.queued', 'task.started', 'task.succeeded!']);
});

test('two attempts that bear one number are told apart by their workers', async () => {
  const id = await created();
  const forgotten = (await claim(id, 'worker-a'))!;
  // As after a crash of the server that took the claim with it.
  await house.database.rows(`delete from attempts where task_id = $1`, [id]);
  await house.database.rows(
    `update tasks set status = 'queued', attempt = 0, sequence = 1, worker_id = null where id = $1`,
    [id],
  );
  await house.database.rows(`delete from events where subject = $1 and sequence = 2`, [id]);
  const again = (await claim(id, 'worker-b'))!;
  expect(again.attempt).toBe(forgotten.attempt);
  expect(await house.tasks.finish(forgotten, succeeded)).toBe(false);
  expect(await house.tasks.finish(again, succeeded)).toBe(true);
});

test('handed back, it is due under the next delivery; the job before it is stale', async () => {
  const id = await created();
  const held = (await claim(id))!;
  expect(await house.tasks.release(held, 'failed', 'store_unavailable', 0)).toBe(2);
  expect(await house.tasks.release(held, 'failed', 'store_unavailable', 0)).toBeNull();
  expect(await claim(id, 'worker-b', 1)).toBeNull();
  const next = (await claim(id, 'worker-b', 2))!;
  expect(next).toMatchObject({ attempt: 2, timesLost: 0 });
  expect(await house.tasks.finish(held, succeeded)).toBe(false);
  expect(await attempts(id)).toEqual([
    { number: 1, outcome: 'failed' },
    { number: 2, outcome: null },
  ]);
});

test('its owner cancels it once and for all, wherever it is; a stranger finds nothing', async () => {
  const [waiting, running, over] = [await created(), await created(), await created()];
  const held = (await claim(running))!;
  await house.tasks.finish((await claim(over))!, succeeded);
  await expect(house.tasks.cancel(await house.workspace(), running)).rejects.toMatchObject({ status: 404 });
  for (const id of [waiting, running]) {
    expect((await house.tasks.cancel(workspaceId, id)).status).toBe('canceled');
    expect((await house.tasks.cancel(workspaceId, id)).status).toBe('canceled');
  }
  expect(await house.tasks.finish(held, succeeded)).toBe(false);
  expect(await house.tasks.release(held, 'released', null, 0)).toBeNull();
  expect(await claim(waiting)).toBeNull();
  expect(await facts(running)).toEqual(['task.queued', 'task.started', 'task.canceled!']);
  expect(await attempts(running)).toEqual([{ number: 1, outcome: 'canceled' }]);
  expect(await house.tasks.listNotHeld('worker-a', [running])).toEqual([running]);
  await expect(house.tasks.cancel(workspaceId, over)).rejects.toMatchObject({
    status: 409,
    code: 'task_not_cancellable',
  });
});

test('a key makes one task, however often and concurrently it is used', async () => {
  const key = { key: 'k', route: 'POST /v1/tasks', requestHash: Buffer.alloc(32, 1) };
  const ids = await Promise.all(
    Array.from({ length: 8 }, () => house.tasks.create(workspaceId, newTask(), key, 100)),
  );
  expect(new Set(ids).size).toBe(1);
  const other = { ...key, requestHash: Buffer.alloc(32, 2) };
  await expect(house.tasks.create(workspaceId, newTask(), other, 100)).rejects.toMatchObject({
    code: 'idempotency_key_reused',
  });
  const elsewhere = { ...other, route: 'POST /v1/embeddings' };
  expect(await house.tasks.create(workspaceId, newTask(), elsewhere, 100)).not.toBe(ids[0]);
});

test('as many may wait as the bound says, of this workspace alone, and what ended makes room', async () => {
  const first = await created({}, 2);
  await created({}, 2);
  const refused = { status: 429, code: 'too_many_pending_tasks', retryAfterMs: expect.any(Number) };
  await expect(created({}, 2)).rejects.toMatchObject(refused);
  const key = { key: 'k', route: 'POST /v1/tasks', requestHash: Buffer.alloc(32) };
  await expect(house.tasks.create(workspaceId, newTask(), key, 2)).rejects.toMatchObject(refused);
  await house.tasks.create(await house.workspace(), newTask(), null, 2);
  await house.tasks.cancel(workspaceId, first);
  // The key that was refused is not used up.
  await house.tasks.create(workspaceId, newTask(), key, 2);
});

test('pages keep their order and their filters, and show no other workspace', async () => {
  const ids: string[] = [];
  for (let nth = 0; nth < 5; nth++) ids.push(await created());
  await house.tasks.create(await house.workspace(), newTask(), null, 100);
  await house.tasks.cancel(workspaceId, ids[2]!);
  const page = { limit: 2, order: 'asc' as const };
  const idsOf = async (over: object) =>
    (await house.tasks.list(workspaceId, { ...page, ...over })).map(({ id }) => id);
  expect(await idsOf({})).toEqual(ids.slice(0, 3));
  expect(await idsOf({ after: ids[2] })).toEqual(ids.slice(3));
  expect(await idsOf({ order: 'desc', limit: 10 })).toEqual(ids.toReversed());
  expect(await idsOf({ status: 'canceled' })).toEqual([ids[2]]);
  expect(await idsOf({ model: 'another' })).toEqual([]);
});

describe('what the sweep asks after', () => {
  const seconds = { queued: 10, workerGone: 10 };
  const age = (ids: string[]) =>
    house.database.rows(`update tasks set queued_at = now() - interval '1 minute' where id = any($1)`, [ids]);
  const overdue = async (of: string[]) =>
    (await house.tasks.listOverdue(seconds, '', 1_000)).filter(({ taskId }) => of.includes(taskId));

  test('waits long, or runs on a worker that is gone; a delivery is given anew once', async () => {
    const ids = [await created(), await created(), await created()];
    const self = { id: newId('worker'), pools: ['remote'], slots: 1, host: 'h', pid: 1, version: '' };
    await house.workers.recordHeartbeat(self, {
      consuming: true,
      memoryBytes: 0,
      running: [],
      models: [],
      device: null,
    });
    await claim(ids[1]!, self.id);
    await claim(ids[2]!, 'worker-dead');
    expect(await overdue(ids)).toEqual([]);
    await age(ids);
    const lost = await overdue(ids);
    expect(lost.map(({ taskId }) => taskId)).toEqual([ids[0], ids[2]]);
    const twice = await Promise.all([house.tasks.requeue(lost), house.tasks.requeue(lost)]);
    expect(twice.flat().map(({ generation }) => generation)).toEqual([2, 2]);
    expect(await overdue(ids)).toEqual([]);
    expect(await claim(ids[2]!, 'worker-b', 2)).toMatchObject({ attempt: 2, timesLost: 1 });
  });
});

test('what a task names, or the attempt that runs may still name, is not garbage', async () => {
  const { GarbageStore } = await import('#database');
  const garbage = new GarbageStore(house.database);
  const running = newTask({ input: null });
  const key = (what: string) => `${workspaceId}/tasks/${running.id}/${what}`;
  await house.tasks.create(workspaceId, { ...running, inputKey: key('input.json') }, null, 10);
  await claim(running.id);
  const keys = ['input.json', '1.output.json', '2.output.json', '11.output.json'].map(key);
  const old = keys.map((each) => ({ key: each, modifiedAt: new Date(Date.now() - 7_200_000) }));
  expect((await garbage.listUnreferenced(old, 3_600)).sort()).toEqual([
    key('11.output.json'),
    key('2.output.json'),
  ]);
  await house.tasks.finish(
    { taskId: running.id, attempt: 1, workerId: 'worker-a' },
    { ...succeeded, output: null, outputKey: key('1.output.json') },
  );
  expect((await garbage.listUnreferenced(old, 3_600)).sort()).toEqual([
    key('11.output.json'),
    key('2.output.json'),
  ]);
});

test('a wish for a model is kept, changed and read', async () => {
  await house.wishes.set('local/a', true);
  await house.wishes.set('local/b', true);
  await house.wishes.set('local/a', false);
  expect((await house.wishes.list()).map(({ model, isDesired }) => [model, isDesired])).toEqual([
    ['local/a', false],
    ['local/b', true],
  ]);
});
