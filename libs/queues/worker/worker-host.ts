/** The worker process's side of the queues: runs a handler for each queue it consumes, and drains on shutdown. */
import { trace, type Tracer } from '@opentelemetry/api';
import { waitAtMost } from '#async';
import type { Logger } from '#telemetry';
import type { QueueName } from '../catalogue.ts';
import type { QueuesWithBackend, Queues } from '../connect-queues.ts';
import { JobInterrupted } from './job-interrupted.ts';
import type { JobHandler, QueueMetrics, RunningJob } from './run-job.ts';
import { QueueConsumer, type QueueHealth } from './queue-consumer.ts';

export interface WorkerHostOptions<Q extends QueueName> {
  readonly queues: Queues;
  readonly lane: string | null;
  /** The queues to consume, with the number of jobs of each that may run at once. */
  readonly concurrency: Readonly<Record<Q, number>>;
  readonly handlers: { readonly [K in NoInfer<Q>]: JobHandler<K> };
  readonly log: Logger;
  readonly metrics?: QueueMetrics;
  readonly tracer?: Tracer;
  /** How long `drain` waits for running jobs. @default 25,000 */
  readonly drainMs?: number;
  /** Milliseconds since the epoch. @default Date.now */
  readonly now?: () => number;
}

export type CancelFilter =
  { readonly taskId: string } | { readonly batchId: string } | { readonly jobId: string };

export interface WorkerHost {
  /** Interrupts matching jobs of this process; other processes receive the cancel over the bus. @returns how many. */
  cancel(filter: CancelFilter): number;
  /** `healthy` when every queue is consumed. */
  getHealth(): { readonly healthy: boolean; readonly queues: readonly QueueHealth[] };
  /**
   * Takes no more jobs and waits for running ones until the deadline. Then interrupts them, gives them two seconds to
   * release their work, and closes by force. Ends at most about four seconds after the deadline.
   *
   * @returns ids of jobs that still run at the end; another worker gets them when their locks expire.
   */
  drain(deadlineMs?: number): Promise<{ readonly abandoned: readonly string[] }>;
}

const livenessIntervalMs = 3_000;
const releaseMs = 2_000;
const closingMs = 2_000;

/** @throws TypeError when a queue has no handler or no slot. */
export function startWorkerHost<Q extends QueueName>(options: WorkerHostOptions<Q>): WorkerHost {
  const { log, lane, metrics, drainMs = 25_000, now = Date.now } = options;
  const { backend } = options.queues as QueuesWithBackend;
  const tracer = options.tracer ?? trace.getTracer('millrace.queues');
  const names = Object.keys(options.concurrency) as Q[];
  for (const queue of names) {
    const slots: number = options.concurrency[queue];
    if (typeof options.handlers[queue] !== 'function') throw new TypeError(`queue ${queue} has no handler`);
    if (!(Number.isInteger(slots) && slots > 0))
      throw new TypeError(`queue ${queue} needs at least one slot`);
  }
  const consumers = names.map((queue) => {
    const handler = options.handlers[queue] as JobHandler<Q>;
    const concurrency = options.concurrency[queue];
    return new QueueConsumer<Q>({ queue, handler, concurrency, backend, lane, log, tracer, metrics, now });
  });

  const watchdog = setInterval(() => {
    for (const consumer of consumers) void consumer.checkLiveness();
  }, livenessIntervalMs);
  watchdog.unref();
  let draining: ReturnType<WorkerHost['drain']> | undefined;

  return {
    cancel(filter) {
      const matching = consumers
        .flatMap((consumer) => consumer.listRunning())
        .filter((job) => matchesFilter(job, filter));
      for (const job of matching) job.interrupt(new JobInterrupted('canceled'));
      return matching.length;
    },
    getHealth() {
      const queues = consumers.map((consumer) => consumer.getHealth());
      return { healthy: queues.every(({ isConsuming }) => isConsuming), queues };
    },
    drain(deadlineMs = drainMs) {
      clearInterval(watchdog);
      draining ??= drain(consumers, deadlineMs, log);
      return draining;
    },
  };
}

function matchesFilter(job: RunningJob, filter: CancelFilter): boolean {
  if ('jobId' in filter) return job.jobId === filter.jobId;
  if ('taskId' in filter) return job.payload.taskId === filter.taskId;
  return job.payload.batchId === filter.batchId;
}

async function drain(consumers: readonly QueueConsumer[], deadlineMs: number, log: Logger) {
  let isClosed = false;
  const closing = Promise.allSettled(consumers.map((consumer) => consumer.stop())).then(
    () => (isClosed = true),
  );
  const listRunning = (): RunningJob[] => consumers.flatMap((consumer) => consumer.listRunning());
  /** Waits until all is closed, until no job has run for 2 s while closing hangs, or for `ms`. */
  const waitUntilClosed = async (ms: number): Promise<void> => {
    const until = performance.now() + ms;
    let idleSince = Infinity;
    while (!isClosed && performance.now() < until && performance.now() - idleSince < closingMs) {
      idleSince = listRunning().length > 0 ? Infinity : Math.min(idleSince, performance.now());
      await waitAtMost(50, closing);
    }
  };

  await waitUntilClosed(deadlineMs);
  const late = listRunning();
  if (late.length > 0) {
    log.warn({ jobs: late.map(({ jobId }) => jobId) }, 'jobs still run at the deadline and are interrupted');
    for (const job of late) job.interrupt(new JobInterrupted('draining'));
    await waitUntilClosed(releaseMs);
  }
  // No job runs any more. Closing takes a moment, also when the deadline has passed.
  if (listRunning().length === 0) await waitUntilClosed(closingMs);
  const abandoned = listRunning().map(({ jobId }) => jobId);
  if (abandoned.length > 0) log.warn({ jobs: abandoned }, 'jobs were abandoned; their locks will expire');
  if (!isClosed) await Promise.all(consumers.map((consumer) => consumer.abandon()));
  return { abandoned };
}
