/**
 * The queues, as data: the payload of each, its scope and how long a lock on its jobs lasts. A job carries ids, and a
 * task's job the names by which its provider is found. The worker reads the rows from Postgres.
 */
import { z } from 'zod';
import { idSchema } from '@millrace/contracts';

const chunk = z.int().nonnegative();

/** Counts how often this work was put in a queue. A job whose number differs from its row's is stale. */
const generation = z.int().nonnegative();

/** W3C trace context of the request, so that one trace spans the request and the run. */
const traceparent = z
  .string()
  .regex(/^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/)
  .optional();

/** What decides for which provider, model and credential a task waits. */
const taskRoute = z.strictObject({
  workspaceId: idSchema('workspace'),
  kind: z.string().max(64),
  model: z.string().max(1_024),
});
export type TaskRoute = z.output<typeof taskRoute>;

interface QueueDefinition<P extends z.ZodType> {
  /** `shared`: one queue for the deployment. `lane`: one queue for each lane (libs/domain/lane.ts). */
  readonly scope: 'shared' | 'lane';
  /** Strict, so that a job can carry nothing else. */
  readonly payload: P;
  /** Unique per generation: BullMQ silently ignores an `add` whose id still exists. */
  readonly jobId: (payload: z.output<P>) => string;
  /** A job whose worker has not renewed its lock for this long is given to another worker. */
  readonly lockMs: number;
}

const defineQueue = <P extends z.ZodType>(definition: QueueDefinition<P>): QueueDefinition<P> => definition;

export const queueCatalogue = {
  plan: defineQueue({
    scope: 'shared',
    payload: z.strictObject({ batchId: idSchema('batch'), generation, traceparent }),
    jobId: ({ batchId, generation }) => `${batchId}-${generation}`,
    lockMs: 6_000,
  }),
  batch: defineQueue({
    scope: 'lane',
    payload: z.strictObject({ batchId: idSchema('batch'), chunk, generation, traceparent }),
    jobId: ({ batchId, chunk, generation }) => `${batchId}-${chunk}-${generation}`,
    lockMs: 6_000,
  }),
  direct: defineQueue({
    scope: 'lane',
    payload: z.strictObject({
      taskId: idSchema('task'),
      generation,
      route: taskRoute.optional(),
      traceparent,
    }),
    jobId: ({ taskId, generation }) => `${taskId}-${generation}`,
    lockMs: 6_000,
  }),
} as const;

export type QueueName = keyof typeof queueCatalogue;
export type QueuePayload<Q extends QueueName> = z.output<(typeof queueCatalogue)[Q]['payload']>;

/** The job id of a payload, for `findMissing` and `remove`. */
export function buildJobId<Q extends QueueName>(name: Q, payload: QueuePayload<Q>): string {
  const { jobId } = queueCatalogue[name] as unknown as { jobId: (payload: QueuePayload<Q>) => string };
  return jobId(payload);
}

const lanePattern = /^[a-z0-9][a-z0-9_-]{0,79}$/;

/**
 * Builds the queue's name in the backend: `plan`, `<lane>-batch`, `<lane>-direct`.
 *
 * @param lane ignored for a shared queue.
 * @throws TypeError when the lane's name is not safe in a Redis key or a Postgres channel.
 */
export function buildQueueName(name: QueueName, lane: string | null): string {
  if (queueCatalogue[name].scope === 'shared') return name;
  if (lane === null || !lanePattern.test(lane)) {
    throw new TypeError(`queue ${name} needs a lane named with a-z, 0-9, "_" and "-"`);
  }
  return `${lane}-${name}`;
}

/** @throws TypeError on an id that BullMQ misreads: it takes ":" for a key separator and an integer for an id of its own. */
export function assertJobId(id: string): void {
  if (!/^[A-Za-z0-9_.-]{1,128}$/.test(id) || /^\d+$/.test(id)) {
    throw new TypeError('a job id is letters, digits, "_", "." and "-", and not an integer');
  }
}
