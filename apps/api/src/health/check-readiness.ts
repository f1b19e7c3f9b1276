/** Checks whether everything that a request needs works: Postgres, the queue, the object storage and the workers. */
import { withTimeout } from '#async';
import type { HealthCheck, Readiness } from '@millrace/contracts';
import type { Database, WorkerStore } from '#database';
import type { Queues } from '#queues';
import type { ObjectStorage } from '#storage';

/** `failing` when a request could not be served, or when there are workers but none of them takes work. */
export type CheckReadiness = () => Promise<Readiness>;
export const CHECK_READINESS = Symbol('check readiness');

export interface CheckReadinessDeps {
  readonly database: Pick<Database, 'ping'>;
  readonly workers: Pick<WorkerStore, 'listAlive'>;
  readonly queues: Pick<Queues, 'ping'>;
  readonly objects: Pick<ObjectStorage, 'probe'>;
}

/** Time limit of one check, and how long the result of the object storage check (which writes) is reused. */
const checkMs = 2_500;
const reuseObjectsCheckMs = 5_000;
const aliveWithinS = 10;

export function checkReadinessWith({
  database,
  workers,
  queues,
  objects,
}: CheckReadinessDeps): CheckReadiness {
  const checkObjects = reuse(reuseObjectsCheckMs, () => runCheck(() => objects.probe()));
  return async () => {
    const [postgres, queue, storage, taken] = await Promise.all([
      runCheck(() => database.ping()),
      runCheck(() => queues.ping()),
      checkObjects(),
      checkWorkers(workers),
    ]);
    const checks = { postgres, queue, objects: storage, workers: taken };
    const isReady = Object.values(checks).every(({ status }) => status !== 'failing');
    return { status: isReady ? 'ok' : 'failing', checks };
  };
}

async function checkWorkers(workers: CheckReadinessDeps['workers']): Promise<HealthCheck> {
  let alive: Awaited<ReturnType<WorkerStore['listAlive']>> = [];
  const check = await runCheck(async () => void (alive = await workers.listAlive(aliveWithinS)));
  if (check.status !== 'ok') return check;
  if (alive.length === 0) {
    return { status: 'none', message: 'No worker is running: work waits until one starts.' };
  }
  const consuming = alive.filter((worker) => worker.consuming).length;
  const message = `${consuming} of ${alive.length} take work.`;
  return { status: consuming > 0 ? 'ok' : 'failing', message };
}

async function runCheck(check: () => Promise<void>): Promise<HealthCheck> {
  try {
    await withTimeout(check(), checkMs);
    return { status: 'ok' };
  } catch (error) {
    return { status: 'failing', message: (error as Error).message };
  }
}

/** @returns a function that calls `run` again only `forMs` milliseconds after its last call. */
function reuse<T>(forMs: number, run: () => Promise<T>): () => Promise<T> {
  let last: { readonly at: number; readonly result: Promise<T> } | null = null;
  return () => {
    const now = performance.now();
    if (!last || now - last.at > forMs) last = { at: now, result: run() };
    return last.result;
  };
}
