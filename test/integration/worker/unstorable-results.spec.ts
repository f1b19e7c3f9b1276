/**
 * Results that can't be stored: when the database or the object storage rejects one, the provider is called once, and the
 * task or the line ends. Triggers make each statement of the end fail in turn.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { createId } from '@millrace/contracts';
import { InvalidInput, Prices, ProviderFailure, Unavailable } from '#domain';
import { createProviders, type Providers } from '#providers';
import type { Queues } from '#queues';
import type { Bus } from '#realtime';
import { createDiskStorage, type ObjectStorage } from '#storage';
import { RunningWorkRegistry } from '../../../apps/worker/src/heartbeat/running-work.ts';
import { ModelRuntimes } from '../../../apps/worker/src/inference/model-runtimes.ts';
import { runTask } from '../../../apps/worker/src/tasks/run-task.ts';
import { createStoresFixture, type StoresFixture } from '../stores/stores-fixture.ts';
import { embeddingLine, openWorkerHarness, type WorkerHarness } from './worker-harness.ts';

const log = pino({ level: 'silent' });
const never = new AbortController().signal;
const bus = {
  publishUpdate: () => undefined,
  publish: async () => true,
  openStream: () => ({ send: () => undefined, end: () => undefined }),
} as unknown as Bus;

/** A provider whose handler is counted and may be replaced. */
function countCalls(respond: (output: unknown) => unknown = (output) => output) {
  const counted = { calls: 0 };
  const { route: findRoute } = createProviders();
  const route: Providers['route'] = (name, kind, options) => {
    const found = findRoute(name, kind, options);
    const handler = found.provider.handlers[kind]! as (...parameters: unknown[]) => Promise<unknown>;
    const handlers = {
      [kind]: async (...parameters: unknown[]) => {
        counted.calls++;
        return respond(await handler(...parameters));
      },
    };
    return { ...found, provider: { ...found.provider, handlers } };
  };
  return { counted, route };
}

/** Makes a statement fail: `when` is a condition on the new row. */
async function failOn(stores: StoresFixture, table: string, operation: string, when: string) {
  await stores.database.rows(`
    create or replace function reject_row() returns trigger language plpgsql as
    $$ begin raise exception 'rejected by the test' using errcode = '22P05'; end $$`);
  await stores.database.rows(
    `create trigger reject before ${operation} on ${table} for each row when (${when}) execute function reject_row()`,
  );
  return () => stores.database.rows(`drop trigger reject on ${table}`);
}

const rejections = [
  ['the task', 'tasks', 'update', `new.status = 'succeeded'`],
  ['its attempt', 'attempts', 'update', `new.outcome = 'succeeded'`],
  ['its event', 'events', 'insert', `new.type = 'task.succeeded'`],
] as const;

describe('tasks', () => {
  let stores: StoresFixture;
  let objects: ObjectStorage;
  let root: string;
  beforeAll(async () => {
    stores = await createStoresFixture();
    root = await mkdtemp(join(tmpdir(), 'millrace-unstorable-'));
    const signing = { baseUrl: 'http://127.0.0.1:3000', secret: 'a secret of thirty-two characters or more' };
    objects = await createDiskStorage({ root, signing });
  });
  afterAll(async () => {
    await stores?.close();
    await objects?.close();
    await rm(root, { recursive: true });
  });

  async function createTask(workspaceId: string, fallbackModels: string[] | null = null) {
    const body = { model: 'sandbox/embeddings', input: 'a text', encoding_format: 'float' };
    return stores.tasks.create(
      workspaceId,
      {
        ...{
          id: createId('task'),
          kind: 'embeddings',
          model: body.model,
          provider: 'sandbox',
          pool: 'remote',
        },
        ...{ input: JSON.stringify(body), inputKey: null, metadata: null, priority: 0, runAt: null },
        ...{
          deadline: null,
          startBy: null,
          timeoutMs: null,
          patienceMs: null,
          fallbackModels,
          work: 1,
          retryOf: null,
        },
        apiKeyId: null,
      },
      null,
      100,
    );
  }

  /** Runs the task as often as it is released, 20 times at most. @returns the final row, and how often it was claimed. */
  async function runToEnd(taskId: string, route: Providers['route'], overrides: object = {}) {
    const queued: { taskId: string; generation: number }[] = [{ taskId, generation: 1 }];
    const queues = {
      add: async (
        _queue: string,
        _pool: string,
        [job]: { payload: { taskId: string; generation: number } }[],
      ) => void queued.push(job!.payload),
    } as unknown as Queues;
    const deps = {
      ...{ workerId: 'w', tasks: stores.taskRuns, queues, bus, objects, route, prices: new Prices() },
      ...{ runtimes: new ModelRuntimes(), runningWork: new RunningWorkRegistry() },
      ...{ media: { files: stores.files, objects, outbound: null as never } },
      publishEventsCommitted: () => undefined,
      ...overrides,
    };
    let runs = 0;
    for (let job = queued.shift(); job && runs < 20; job = queued.shift(), runs++) {
      await runTask(job, deps, never, log);
    }
    const [task] = await stores.database.rows<{
      status: string;
      error: { code: string } | null;
      attempt: number;
    }>('select status, error, attempt from tasks where id = $1', [taskId]);
    return { ...task!, runs };
  }

  test.each(rejections)(
    '%s is rejected: the task fails after one call',
    async (_, table, operation, when) => {
      const { counted, route } = countCalls();
      const taskId = await createTask(await stores.createWorkspace());
      const restore = await failOn(stores, table, operation, when);
      const end = await runToEnd(taskId, route).finally(restore);
      expect(end).toMatchObject({ status: 'failed', error: { code: 'result_not_stored' }, runs: 1 });
      expect(counted.calls).toBe(1);
    },
  );

  test('a failure that is rejected is replaced by a plain one', async () => {
    const { counted, route } = countCalls(() => {
      throw new ProviderFailure('bad \u0000 byte', {
        code: 'bad \u0000 code',
        status: 400,
        retryable: false,
      });
    });
    const taskId = await createTask(await stores.createWorkspace(), ['sandbox/embeddings:slow']);
    const end = await runToEnd(taskId, route);
    expect(end).toMatchObject({ status: 'failed', runs: 1 });
    expect(counted.calls).toBe(1);
  });

  test('when even the plain failure is rejected, the task is called once and stays queued', async () => {
    const { counted, route } = countCalls();
    const taskId = await createTask(await stores.createWorkspace());
    const restore = await failOn(stores, 'events', 'insert', `new.type in ('task.succeeded', 'task.failed')`);
    const blocked = await runToEnd(taskId, route).finally(restore);
    expect(blocked.status).toBe('queued');
    expect(counted.calls).toBe(1);
  }, 60_000);

  test('usage that no column can hold counts as none, and the answer is kept', async () => {
    const { counted, route } = countCalls((output) => ({
      ...(output as object),
      tokens: [1e300],
      cost: 1e300,
    }));
    const end = await runToEnd(await createTask(await stores.createWorkspace()), route);
    expect(end).toMatchObject({ status: 'succeeded', runs: 1 });
    expect(counted.calls).toBe(1);
  });

  test('the database is away at the end: the result is recorded when it is back, without another call', async () => {
    const { counted, route } = countCalls();
    const taskId = await createTask(await stores.createWorkspace());
    let outages = 3;
    const tasks = Object.assign(Object.create(stores.taskRuns), {
      finish: async (...parameters: Parameters<typeof stores.taskRuns.finish>) => {
        // The last of them is committed, and only its response is lost.
        if (--outages === 0) await stores.taskRuns.finish(...parameters);
        if (outages >= 0) throw new Unavailable('away');
        return stores.taskRuns.finish(...parameters);
      },
    });
    const end = await runToEnd(taskId, route, { tasks });
    expect(end).toMatchObject({ status: 'succeeded', attempt: 1, runs: 1 });
    expect(counted.calls).toBe(1);
  });

  test('an error before the call, that is no outage, ends the task after five attempts', async () => {
    const { route } = countCalls();
    let isRemoved = false;
    const removed: Providers['route'] = (...parameters) => {
      if (isRemoved) throw new InvalidInput('No provider serves this model.', { code: 'model_not_found' });
      return route(...parameters);
    };
    const taskId = await createTask(await stores.createWorkspace());
    isRemoved = true;
    expect(await runToEnd(taskId, removed)).toMatchObject({ status: 'failed', runs: 6 });
  }, 60_000);
});

describe('chunks', () => {
  let harness: WorkerHarness;
  beforeAll(async () => {
    harness = await openWorkerHarness();
  });
  afterAll(() => harness?.close());

  const text = [1, 2, 3].map((at) => embeddingLine(at)).join('\n');

  test('statistics that are rejected are left out, and the answers are kept', async () => {
    const { counted, route } = countCalls();
    const batchId = await harness.createPlannedBatch(text);
    const restore = await failOn(harness.stores, 'attempts', 'update', `new.input_tokens > 0`);
    await harness.drain({ route }).finally(restore);
    expect(await harness.stores.getBatchRow(batchId)).toMatchObject({ status: 'completed', completed: 3 });
    expect(counted.calls).toBe(1);
  });

  test('a commit that is rejected each time ends the lines as failed, after one call', async () => {
    const { counted, route } = countCalls();
    const batchId = await harness.createPlannedBatch(text);
    const restore = await failOn(
      harness.stores,
      'chunks',
      'update',
      `new.status = 'done' and new.completed > 0`,
    );
    for (let nth = 0; nth < 2; nth++) {
      await harness.stores.database.rows('update chunks set not_before = null where batch_id = $1', [
        batchId,
      ]);
      await harness.drain({ route });
    }
    await restore();
    const records = await harness.readRecords(batchId, 'error_file_id');
    expect(records.map(({ error }) => error?.code)).toEqual(Array(3).fill('result_not_stored'));
    expect(counted.calls).toBe(1);
  });
});
