/** Runs one job: parses the payload, then calls the handler with a trace span, a logger and an abort signal. */
import { SpanKind, SpanStatusCode, type Tracer } from '@opentelemetry/api';
import type { Job } from 'bullmq';
import type { Logger } from '#telemetry';
import { queueCatalogue, type QueuePayload, type QueueName } from '../catalogue.ts';
import { toLoggableError } from '../errors.ts';
import { toTraceContext } from '../trace-context.ts';
import { JobInterrupted } from './job-interrupted.ts';

export interface JobRun {
  readonly jobId: string;
  /** Aborted when the job is canceled, its lock is lost or the process drains. Its `reason` is a `JobInterrupted`. */
  readonly signal: AbortSignal;
  /** Adds the ids of queue, job, batch and task to each line. */
  readonly log: Logger;
  /** True when an earlier run of this job stalled. */
  readonly isRedelivered: boolean;
}

/** An error is logged and the job is removed from the queue: Postgres decides whether the work is retried. */
export type JobHandler<Q extends QueueName> = (payload: QueuePayload<Q>, run: JobRun) => Promise<void>;

/** `dropped`: the payload could not be read. `interrupted`: it failed after its signal was aborted. */
export type JobOutcome = 'done' | 'failed' | 'interrupted' | 'dropped';

export interface QueueMetrics {
  /** @param run.waitMs time from when the job was ready to run until it started */
  observe(queue: QueueName, run: { waitMs: number; runMs: number; outcome: JobOutcome }): void;
}

export interface RunContext<Q extends QueueName> {
  readonly queue: Q;
  readonly handler: JobHandler<Q>;
  readonly log: Logger;
  readonly tracer: Tracer;
  readonly metrics?: QueueMetrics | undefined;
  readonly now: () => number;
}

/** A job that this process is running. */
export interface RunningJob {
  readonly queue: QueueName;
  readonly jobId: string;
  readonly payload: { readonly batchId?: string; readonly taskId?: string };
  readonly interrupt: (reason: JobInterrupted) => void;
}

/** Never rejects, so that BullMQ has nothing to retry. */
export async function runJob<Q extends QueueName>(
  job: Job,
  deps: RunContext<Q>,
  track: (running: RunningJob) => () => void,
): Promise<void> {
  const startedAt = deps.now();
  const waitMs = Math.max(0, startedAt - (job.timestamp + (job.opts.delay ?? 0)));
  const outcome = await parseAndRun(job, deps, track);
  deps.metrics?.observe(deps.queue, { waitMs, runMs: Math.max(0, deps.now() - startedAt), outcome });
}

async function parseAndRun<Q extends QueueName>(
  job: Job,
  deps: RunContext<Q>,
  track: (running: RunningJob) => () => void,
): Promise<JobOutcome> {
  const jobId = job.id ?? '';
  const parsed = queueCatalogue[deps.queue].payload.safeParse(job.data);
  if (!parsed.success) {
    const issues = parsed.error.issues.map(({ path, code }) => `${path.join('.')}: ${code}`);
    deps.log.error({ queue: deps.queue, jobId, issues }, 'dropped a job with an invalid payload');
    return 'dropped';
  }
  const payload = parsed.data as QueuePayload<Q>;
  const { traceparent, ...ids } = parsed.data;
  const controller = new AbortController();
  const untrack = track({
    queue: deps.queue,
    jobId,
    payload: ids,
    interrupt: (reason) => controller.abort(reason),
  });
  const run: JobRun = {
    jobId,
    signal: controller.signal,
    log: deps.log.child({ queue: deps.queue, jobId, ...ids }),
    isRedelivered: job.attemptsStarted > 1,
  };
  try {
    return await runTraced(deps, run, traceparent, () => deps.handler(payload, run));
  } finally {
    untrack();
  }
}

function runTraced<Q extends QueueName>(
  deps: RunContext<Q>,
  run: JobRun,
  traceparent: string | undefined,
  handle: () => Promise<void>,
): Promise<JobOutcome> {
  const attributes = {
    'messaging.system': 'bullmq',
    'messaging.destination.name': deps.queue,
    'messaging.message.id': run.jobId,
  };
  const options = { kind: SpanKind.CONSUMER, attributes };
  return deps.tracer.startActiveSpan(
    `process ${deps.queue}`,
    options,
    toTraceContext(traceparent),
    async (span) => {
      try {
        await handle();
        return 'done';
      } catch (error) {
        if (run.signal.aborted) {
          const { reason } = run.signal as { reason: unknown };
          run.log.info(
            { reason: reason instanceof JobInterrupted ? reason.reason : 'aborted' },
            'job interrupted',
          );
          return 'interrupted';
        }
        run.log.error({ error: toLoggableError(error) }, 'job failed; the queue does not retry it');
        span.setStatus({ code: SpanStatusCode.ERROR });
        return 'failed';
      } finally {
        span.end();
      }
    },
  );
}
