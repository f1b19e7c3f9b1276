/**
 * Direct requests while a component fails: their worker, the API between commit and queue, the backend of the queue. Every
 * waiting caller is answered, every committed request runs once, and nothing is left over.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { waitUntil } from '../../support/platform.ts';
import { countStatuses } from '../batch-caller.ts';
import { DirectCaller, send } from '../direct-caller.ts';
import type { Check, Fault, FaultOptions, FaultResult } from '../fault.ts';
import { DedicatedPostgres } from '../dedicated-postgres.ts';
import { Deployment } from '../deployment.ts';

const dieAfterCommitArgs = [
  '--import',
  fileURLToPath(new URL('../preload/die-after-task-commit.js', import.meta.url)),
];
const resumeWithinMs = 15_000;
const answerWithinMs = 25_000;

export const direct: Fault = {
  name: 'direct',
  title: 'direct requests: kill -9 their worker, the API between commit and queue; stop the queue’s backend',
  backends: ['embedded', 'redis'],
  run: (options) =>
    DedicatedPostgres.use(options.print, (server) =>
      Deployment.use(options, { workers: 2, databaseUrl: server.url }, (deployment) =>
        runFault(deployment, server, options),
      ),
    ),
};

async function runFault(
  deployment: Deployment,
  server: DedicatedPostgres,
  options: FaultOptions,
): Promise<FaultResult> {
  const kills: WorkerKill[] = [];
  for (let round = 1; round <= (options.short ? 1 : 4); round++)
    kills.push(await killWorker(deployment, round));
  const undelivered = await killApi(deployment);
  const outage = await stopBackend(deployment, server, options);
  const slowest = Math.max(...kills.map(({ resumedMs }) => resumedMs));
  const checks: Check[] = [
    {
      name: `a killed worker’s request runs again within ${resumeWithinMs / 1_000} s, and its caller is answered`,
      holds: kills.every(({ status, resumedMs }) => status === 200 && resumedMs <= resumeWithinMs),
      found: kills.map(({ status, resumedMs }) => `${status} after ${resumedMs} ms`).join(', '),
    },
    ...undelivered.checks,
    ...outage.checks,
    ...(await deployment.runChecker()),
  ];
  const figures = {
    workerKills: kills.length,
    slowestResumeMs: slowest,
    deliveredAfterApiKillMs: undelivered.deliveredMs,
    answeredAfterOutageMs: outage.answeredMs,
    requests: outage.requests,
  };
  return { checks, tables: [], figures };
}

interface WorkerKill {
  readonly status: number;
  readonly resumedMs: number;
}

async function killWorker(deployment: Deployment, round: number): Promise<WorkerKill> {
  const { database, platform, options } = deployment;
  const key = randomUUID();
  const answer = send(platform, { key, delayMs: 2_500 });
  const running = async () =>
    (
      await database.rows<{ id: string; pid: number }>(
        `select t.id, w.pid from tasks t join workers w on w.id = t.worker_id
         join idempotency_keys k on k.resource_id = t.id where k.key = $1 and t.status = 'running'`,
        [key],
      )
    )[0];
  await waitUntil(async () => Boolean(await running()), { what: 'the request to run', everyMs: 10 });
  const { id, pid } = (await running())!;
  await deployment.snapshotQueue();
  await sleep(options.random.between(0, 1_500));
  process.kill(pid, 'SIGKILL');
  const killedAt = Date.now();
  const { status } = await answer;
  const { at } = await database.one<{ at: Date }>(
    'select started_at as at from attempts where task_id = $1 order by number desc limit 1',
    [id],
  );
  const resumedMs = at.getTime() - killedAt;
  options.print(
    `round ${round}: killed the worker of ${id}; it ran again after ${resumedMs} ms, answer ${status}`,
  );
  return { status, resumedMs };
}

/** The caller retries with the same key and gets the answer of the task that was committed. */
async function killApi({ platform, database, options }: Deployment) {
  const exited = once(platform.api.child, 'exit');
  platform.api.child.kill('SIGKILL');
  await exited;
  await platform.restartApi(dieAfterCommitArgs);
  const died = once(platform.api.child, 'exit');
  const key = randomUUID();
  const first = await send(platform, { key, delayMs: 0 });
  await died;
  const diedAt = Date.now();
  await platform.restartApi();
  const again = await send(platform, { key, delayMs: 0 });
  const deliveredMs = Date.now() - diedAt;
  options.print(`the API died between commit and queue; answered ${again.status} after ${deliveredMs} ms`);
  const made = await database.rows<{ attempt: number }>(
    'select t.attempt from tasks t join idempotency_keys k on k.resource_id = t.id where k.key = $1',
    [key],
  );
  const checks: Check[] = [
    {
      name: 'killed between commit and queue: one task, run once, and the retry gets its answer',
      holds: first.status === 0 && again.status === 200 && made.length === 1 && made[0]!.attempt === 1,
      found: `${made.length} task, attempt ${made[0]?.attempt}; answers ${first.status}, ${again.status}`,
    },
    {
      name: `the reconcile job queues it within ${resumeWithinMs / 1_000} s`,
      holds: deliveredMs <= resumeWithinMs,
      found: `${deliveredMs} ms, including the API’s restart`,
    },
  ];
  return { checks, deliveredMs };
}

async function stopBackend(
  deployment: Deployment,
  server: DedicatedPostgres,
  { short, print }: FaultOptions,
) {
  const { redis, platform } = deployment;
  const caller = new DirectCaller(platform, 50);
  await sleep(2_000);
  if (redis) await redis.kill();
  else await server.stop();
  await sleep(short ? 3_000 : 10_000);
  if (redis) await redis.start();
  else await server.start();
  const upAt = Date.now();
  await sleep(2_000);
  await caller.stop();
  const answeredMs = Date.now() - upAt;
  const statuses = countStatuses(caller.attempts);
  print(
    `${redis ? 'Redis' : 'Postgres'} was stopped; ${caller.ended.length} requests, attempts: ${statuses}`,
  );
  const unexpected = caller.attempts.filter(({ status }) => ![0, 200, 503].includes(status));
  const wrong = caller.ended.filter(({ status }) => status !== 200);
  const checks: Check[] = [
    {
      name: 'every request gets 200 in the end; until then 503 or no answer',
      holds: wrong.length === 0 && unexpected.length === 0 && caller.ended.length > 0,
      found: `${caller.ended.length} requests; ${statuses}`,
    },
    {
      name: `the last within ${answerWithinMs / 1_000} s after the backend is back`,
      holds: answeredMs <= answerWithinMs,
      found: `${answeredMs} ms`,
    },
  ];
  return { checks, answeredMs, requests: caller.ended.length };
}
