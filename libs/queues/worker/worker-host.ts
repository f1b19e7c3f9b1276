/** A worker process's side of the queues: runs a handler for each queue it serves, and leaves in good order. */
import { setTimeout as sleep } from 'node:timers/promises';
import { trace, type Tracer } from '@opentelemetry/api';
import type { Logger } from '#telemetry';
import type { QueueName } from '../catalogue.ts';
import type { QueuesWithBackend, Queues } from '../connect-queues.ts';
import { JobInterrupted } from './job-interrupted.ts';
import type { JobHandler, QueueMetrics, RunningJob } from './run-job.ts';
import { QueueConsumer, type QueueHealth } from './queue-consumer.ts';

export interface WorkerHostOptions<Q extends QueueName> {
  readonly queues: Queues;
  readonly pool: string;
  /** The queues to serve, with how many jobs of each may run at once. */
  readonly concurrency: Readonly<Record<Q, number>>;
  readonly handlers: { readonly [K in NoInfer<Q>]: JobHandler<K> };
  readonly log: Logger;
  readonly metrics?: QueueMetrics;
  readonly tracer?: Tracer;
  /** How long `drain` lets running jobs go on. @default 25,000 */
  readonly drainMs?: number;
  /** Milliseconds since the epoch. @default Date.now */
  readonly now?: () => number;
}

export type CancelFilter =
  { readonly taskId: string } | { readonly batchId: string } | { readonly jobId: string };

export interface WorkerHost {
  /** Aborts what matches in this process; other processes learn of it over the bus. @returns how many. */
  cancel(match: CancelFilter): number;
  /** `healthy` when every queue is being consumed. */
  getHealth(): { readonly healthy: boolean; readonly queues: readonly QueueHealth[] };
  /**
   * Takes no more work, lets running jobs end until the deadline, then aborts them, gives them two seconds to
   * hand their work back, and closes by force. Ends at most about four seconds after the deadline.
   *
   * @returns ids of jobs that were still running at the end; another worker is given them when their lock ends.
   */
  drain(deadlineMs?: number): Promise<{ readonly abandoned: readonly string[] }>;
}

const livenessIntervalMs = 3_000;
const releaseMs = 2_000;
const closingMs = 2_000;

/** @throws TypeError when a served queue has no handler or no slot. */
export function startWorkerHost<Q extends QueueName>(options: WorkerHostOptions<Q>): WorkerHost {
  const { log, pool, metrics, drainMs = 25_000, now = Date.now } = options;
  const { backend } = options.queues as QueuesWithBackend;
  const tracer = options.tracer ?? trace.getTracer('millrace.queues');
  const names = Object.keys(options.concurrency) as Q[];
  for (const queue of names) {
    const slots: number = options.concurrency[queue];
    if (typeof options.handlers[queue] !== 'function') throw new TypeError(`queue ${queue} has no handler`);
    if (!(Number.isInteger(slots) && slots > 0)) throw new TypeError(`queue ${queue} needs a slot or more`);
  }
  const served = names.map((queue) => {
    const handler = options.handlers[queue] as JobHandler<Q>;
    const concurrency = options.concurrency[queue];
    return new QueueConsumer<Q>({ queue, handler, concurrency, backend, pool, log, tracer, metrics, now });
  });

  const watchdog = setInterval(() => {
    for (const queue of served) void queue.checkLiveness();
  }, livenessIntervalMs);
  watchdog.unref();
  let drained: ReturnType<WorkerHost['drain']> | undefined;

  return {
    cancel(match) {
      const matching = served
        .flatMap((queue) => queue.listRunning())
        .filter((job) => matchesFilter(job, match));
      for (const job of matching) job.interrupt(new JobInterrupted('canceled'));
      return matching.length;
    },
    getHealth() {
      const queues = served.map((queue) => queue.getHealth());
      return { healthy: queues.every(({ isConsuming }) => isConsuming), queues };
    },
    drain(deadlineMs = drainMs) {
      clearInterval(watchdog);
      drained ??= drain(served, deadlineMs, log);
      return drained;
    },
  };
}

function matchesFilter(job: RunningJob, match: CancelFilter): boolean {
  if ('jobId' in match) return job.jobId === match.jobId;
  if ('taskId' in match) return job.payload.taskId === match.taskId;
  return job.payload.batchId === match.batchId;
}

async function drain(served: readonly QueueConsumer[], deadlineMs: number, log: Logger) {
  let closed = false;
  const closing = Promise.allSettled(served.map((queue) => queue.stop())).then(() => (closed = true));
  const running = (): RunningJob[] => served.flatMap((queue) => queue.listRunning());
  /** Until all is closed, or nothing has run for a while and closing alone hangs, or `ms` have passed. */
  const settles = async (ms: number): Promise<void> => {
    const until = performance.now() + ms;
    let idleSince = Infinity;
    while (!closed && performance.now() < until && performance.now() - idleSince < closingMs) {
      idleSince = running().length > 0 ? Infinity : Math.min(idleSince, performance.now());
      await Promise.race([closing, sleep(50)]);
    }
  };

  await settles(deadlineMs);
  const late = running();
  if (late.length > 0) {
    log.warn({ jobs: late.map(({ jobId }) => jobId) }, 'jobs still run at the deadline and are interrupted');
    for (const job of late) job.interrupt(new JobInterrupted('draining'));
    await settles(releaseMs);
  }
  // Nothing runs any more: closing itself takes a moment, which a deadline that has passed must not cut off.
  if (running().length === 0) await settles(closingMs);
  const abandoned = running().map(({ jobId }) => jobId);
  if (abandoned.length > 0)
    log.warn({ jobs: abandoned }, 'jobs were abandoned; their locks end by themselves');
  if (!closed) await Promise.all(served.map((queue) => queue.abandon()));
  return { abandoned };
}
