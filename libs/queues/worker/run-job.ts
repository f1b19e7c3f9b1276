/** One job, from the queue's hands into the handler's: payload parsed, traced, logged, measured, interruptible. */
import { SpanKind, SpanStatusCode, type Tracer } from '@opentelemetry/api';
import type { Job } from 'bullmq';
import type { Logger } from '#telemetry';
import { queueCatalogue, type QueuePayload, type QueueName } from '../catalogue.ts';
import { toLoggableError } from '../errors.ts';
import { toTraceContext } from '../trace-context.ts';
import { JobInterrupted } from './job-interrupted.ts';

export interface JobRun {
  readonly jobId: string;
  /** Aborted when the job is canceled, its lock is lost or the process leaves; `reason` is an `Interrupted`. */
  readonly signal: AbortSignal;
  /** Carries queue, job, batch and task ids. */
  readonly log: Logger;
  /** True when an earlier run of this very job stalled. */
  readonly isRedelivered: boolean;
}

/** Whatever it throws is logged and the job is gone all the same: Postgres decides whether it is tried again. */
export type JobHandler<Q extends QueueName> = (payload: QueuePayload<Q>, run: JobRun) => Promise<void>;

/** `dropped`: the payload could not be read. `interrupted`: it failed after its signal was aborted. */
export type JobOutcome = 'done' | 'failed' | 'interrupted' | 'dropped';

export interface QueueMetrics {
  /** @param run.waitMs from the moment the job could have run until it did */
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

/** A job that a worker of this process runs now. */
export interface RunningJob {
  readonly queue: QueueName;
  readonly jobId: string;
  readonly payload: { readonly batchId?: string; readonly taskId?: string };
  readonly interrupt: (why: JobInterrupted) => void;
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
    const wrong = parsed.error.issues.map(({ path, code }) => `${path.join('.')}: ${code}`);
    deps.log.error({ queue: deps.queue, jobId, wrong }, 'dropped a job whose payload can not be read');
    return 'dropped';
  }
  const payload = parsed.data as QueuePayload<Q>;
  const { traceparent, ...ids } = parsed.data;
  const controller = new AbortController();
  const untrack = track({
    queue: deps.queue,
    jobId,
    payload: ids,
    interrupt: (why) => controller.abort(why),
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
            { why: reason instanceof JobInterrupted ? reason.reason : 'aborted' },
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
