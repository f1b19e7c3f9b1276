/** One job, from the queue's hands into the handler's: payload parsed, traced, logged, measured, interruptible. */
import { SpanKind, SpanStatusCode, type Tracer } from '@opentelemetry/api';
import type { Job } from 'bullmq';
import type { Logger } from '#telemetry';
import { queues, type PayloadOf, type QueueName } from '../catalogue.ts';
import { plainError } from '../errors.ts';
import { contextOf } from '../trace.ts';
import { Interrupted } from './interrupted.ts';

export interface JobRun {
  readonly jobId: string;
  /** Aborted when the job is canceled, its lock is lost or the process leaves; `reason` is an `Interrupted`. */
  readonly signal: AbortSignal;
  /** Carries queue, job, batch and task ids. */
  readonly log: Logger;
  /** True when an earlier run of this very job stalled. */
  readonly redelivered: boolean;
}

/** Whatever it throws is logged and the job is gone all the same: Postgres decides whether it is tried again. */
export type Handler<Q extends QueueName> = (payload: PayloadOf<Q>, run: JobRun) => Promise<void>;

/** `dropped`: the payload could not be read. `interrupted`: it failed after its signal was aborted. */
export type JobOutcome = 'done' | 'failed' | 'interrupted' | 'dropped';

export interface QueueMetrics {
  /** @param run.waitMs from the moment the job could have run until it did */
  observe(queue: QueueName, run: { waitMs: number; runMs: number; outcome: JobOutcome }): void;
}

export interface RunContext<Q extends QueueName> {
  readonly queue: Q;
  readonly handler: Handler<Q>;
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
  readonly interrupt: (why: Interrupted) => void;
}

/** Never rejects, so that BullMQ has nothing to retry. */
export async function runJob<Q extends QueueName>(
  job: Job,
  on: RunContext<Q>,
  track: (running: RunningJob) => () => void,
): Promise<void> {
  const startedAt = on.now();
  const waitMs = Math.max(0, startedAt - (job.timestamp + (job.opts.delay ?? 0)));
  const outcome = await parseAndRun(job, on, track);
  on.metrics?.observe(on.queue, { waitMs, runMs: Math.max(0, on.now() - startedAt), outcome });
}

async function parseAndRun<Q extends QueueName>(
  job: Job,
  on: RunContext<Q>,
  track: (running: RunningJob) => () => void,
): Promise<JobOutcome> {
  const jobId = job.id ?? '';
  const parsed = queues[on.queue].payload.safeParse(job.data);
  if (!parsed.success) {
    const wrong = parsed.error.issues.map(({ path, code }) => `${path.join('.')}: ${code}`);
    on.log.error({ queue: on.queue, jobId, wrong }, 'dropped a job whose payload can not be read');
    return 'dropped';
  }
  const payload = parsed.data as PayloadOf<Q>;
  const { traceparent, ...ids } = parsed.data;
  const controller = new AbortController();
  const untrack = track({
    queue: on.queue,
    jobId,
    payload: ids,
    interrupt: (why) => controller.abort(why),
  });
  const run: JobRun = {
    jobId,
    signal: controller.signal,
    log: on.log.child({ queue: on.queue, jobId, ...ids }),
    redelivered: job.attemptsStarted > 1,
  };
  try {
    return await traced(on, run, traceparent, () => on.handler(payload, run));
  } finally {
    untrack();
  }
}

function traced<Q extends QueueName>(
  on: RunContext<Q>,
  run: JobRun,
  traceparent: string | undefined,
  handle: () => Promise<void>,
): Promise<JobOutcome> {
  const attributes = {
    'messaging.system': 'bullmq',
    'messaging.destination.name': on.queue,
    'messaging.message.id': run.jobId,
  };
  const options = { kind: SpanKind.CONSUMER, attributes };
  return on.tracer.startActiveSpan(`process ${on.queue}`, options, contextOf(traceparent), async (span) => {
    try {
      await handle();
      return 'done';
    } catch (error) {
      if (run.signal.aborted) {
        const { reason } = run.signal as { reason: unknown };
        run.log.info({ why: reason instanceof Interrupted ? reason.why : 'aborted' }, 'job interrupted');
        return 'interrupted';
      }
      run.log.error({ error: plainError(error) }, 'job failed; the queue does not retry it');
      span.setStatus({ code: SpanStatusCode.ERROR });
      return 'failed';
    } finally {
      span.end();
    }
  });
}
