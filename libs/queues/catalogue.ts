/**
 * The queues, as data: what each carries, whom it serves and how long a lock on its jobs lasts. A job carries
 * ids and nothing else; what they stand for is read from Postgres by whoever runs it.
 */
import { z } from 'zod';
import { idSchema } from '#contracts';

const chunk = z.int().nonnegative();

/** Counts how often this piece of work was put in a queue; a row whose number differs makes the job stale. */
const delivery = z.int().nonnegative();

/** W3C trace context of whoever asked for the work, so that one trace spans request and run. */
const traceparent = z
  .string()
  .regex(/^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/)
  .optional();

interface Definition<P extends z.ZodType> {
  /** `shared`: one queue for the deployment. `pool`: one for each pool of workers. */
  readonly scope: 'shared' | 'pool';
  /** Strict, so that nothing but ids can travel. */
  readonly payload: P;
  /** Unique per delivery: BullMQ silently swallows an `add` whose id still exists. */
  readonly jobId: (payload: z.output<P>) => string;
  /** A job whose worker has not renewed its lock for so long is given to another. */
  readonly lockMs: number;
}

const queue = <P extends z.ZodType>(definition: Definition<P>): Definition<P> => definition;

export const queues = {
  plan: queue({
    scope: 'shared',
    payload: z.strictObject({ batchId: idSchema('batch'), delivery, traceparent }),
    jobId: ({ batchId, delivery }) => `${batchId}-${delivery}`,
    lockMs: 6_000,
  }),
  batch: queue({
    scope: 'pool',
    payload: z.strictObject({ batchId: idSchema('batch'), chunk, delivery, traceparent }),
    jobId: ({ batchId, chunk, delivery }) => `${batchId}-${chunk}-${delivery}`,
    lockMs: 6_000,
  }),
  interactive: queue({
    scope: 'pool',
    payload: z.strictObject({ taskId: idSchema('task'), delivery, traceparent }),
    jobId: ({ taskId, delivery }) => `${taskId}-${delivery}`,
    lockMs: 6_000,
  }),
} as const;

export type QueueName = keyof typeof queues;
export type PayloadOf<Q extends QueueName> = z.output<(typeof queues)[Q]['payload']>;

/** The id under which a payload's job is found again, for `existing` and `remove`. */
export function jobIdOf<Q extends QueueName>(name: Q, payload: PayloadOf<Q>): string {
  const { jobId } = queues[name] as unknown as { jobId: (payload: PayloadOf<Q>) => string };
  return jobId(payload);
}

const poolPattern = /^[a-z0-9][a-z0-9-]{0,47}$/;

/**
 * The queue's name in the backend: `plan`, `<pool>-batch`, `<pool>-interactive`.
 *
 * @param pool ignored for a shared queue.
 * @throws TypeError when the pool's name could not stand in a key or a channel.
 */
export function physicalName(name: QueueName, pool: string | null): string {
  if (queues[name].scope === 'shared') return name;
  if (pool === null || !poolPattern.test(pool)) {
    throw new TypeError(`queue ${name} needs a pool named with a-z, 0-9 and "-"`);
  }
  return `${pool}-${name}`;
}

/** @throws TypeError on an id that BullMQ would misread: one with ":" is a key, an integer is one of its own. */
export function checkJobId(id: string): void {
  if (!/^[A-Za-z0-9_.-]{1,128}$/.test(id) || /^\d+$/.test(id)) {
    throw new TypeError('a job id is letters, digits, "_", "." and "-", and not an integer');
  }
}
