/** Puts work into the queues and asks what is there. The queue is delivery only: Postgres holds the truth. */
import { Queue, type IQueueBackend } from 'bullmq';
import type { Logger } from '#telemetry';
import type { Backend } from './backend.ts';
import { openBackend, type BackendAddress } from './open-backend.ts';
import { checkJobId, jobIdOf, physicalName, queues, type PayloadOf, type QueueName } from './catalogue.ts';
import { answerWithin, sparingly } from './errors.ts';
import { currentTraceparent } from './trace.ts';

export interface NewJob<Q extends QueueName> {
  /** @default the catalogue's id for the payload */
  readonly id?: string;
  readonly payload: PayloadOf<Q>;
  /** 1 (first) to 2,097,151; jobs without one go before all that have one. */
  readonly priority?: number;
  readonly delayMs?: number;
}

export interface QueueCounts {
  readonly waiting: number;
  readonly active: number;
  readonly delayed: number;
  readonly prioritized: number;
}

/** Every method throws `Unavailable` within about two seconds when the backend does not answer. */
export interface Queues {
  readonly kind: Backend['kind'];
  /**
   * Adds jobs in pages of 1,000. A job whose id still exists is left as it is, silently. When it throws, a
   * part may have been added: adding all of it again is safe.
   *
   * @param pool the pool whose workers shall run them; `null` for a shared queue.
   * @throws TypeError on an id, payload, priority or delay that the catalogue does not allow.
   */
  add<Q extends QueueName>(queue: Q, pool: string | null, jobs: readonly NewJob<Q>[]): Promise<void>;
  /** Of `ids`, in their order, those that have no job: done, or lost with the queue. One round trip per 1,000. */
  missing(queue: QueueName, pool: string | null, ids: readonly string[]): Promise<string[]>;
  counts(queue: QueueName, pool: string | null): Promise<QueueCounts>;
  /** Takes waiting jobs away; a job that runs is locked and stays, one that is not there is nothing to do. */
  remove(queue: QueueName, pool: string | null, ids: readonly string[]): Promise<void>;
  /** Resolves when the backend answers. */
  ping(): Promise<void>;
  /** Ends the producer's connections. Drain the worker hosts first: on Postgres they share the pool. */
  close(): Promise<void>;
}

/** Queues with what a worker host of the same process needs; apps see `Queues`. */
export interface OpenQueues extends Queues {
  readonly backend: Backend;
}

export interface ConnectOptions {
  readonly backend: BackendAddress;
  readonly log: Logger;
  /** @default 2,000 */
  readonly answerMs?: number;
}

/** On whichever backend the factory makes. */
type BullQueue = Queue<unknown, void, string, unknown, void, string, IQueueBackend>;

const page = 1_000;
const removedAtOnce = 50;
const highestPriority = 2_097_151;

/** Never retried and never kept: Postgres decides about the first and records the second. */
const delivery = { attempts: 1, removeOnComplete: true, removeOnFail: true } as const;

/** Connects in the background: an unreachable backend shows in `ping` and in what the methods throw. */
export function connectQueues({ backend: address, log, answerMs = 2_000 }: ConnectOptions): Queues {
  const backend = openBackend(address, log);
  const opened = new Map<string, BullQueue>();
  const complain = sparingly(log, 'a queue reports an error');

  const open = (queue: QueueName, pool: string | null): BullQueue => {
    const name = physicalName(queue, pool);
    let found = opened.get(name);
    if (!found) {
      const streams = { events: { maxLen: 1_000 } };
      found = new Queue(name, { ...backend.producing, streams }, backend.factory);
      found.on('error', complain);
      opened.set(name, found);
    }
    return found;
  };

  const connected: OpenQueues = {
    kind: backend.kind,
    backend,
    async add(queue, pool, jobs) {
      const target = open(queue, pool);
      const rows = jobs.map((job) => toJob(queue, job));
      const [only] = rows;
      // A direct request's: on Postgres the statement for many takes several times as long.
      if (only && rows.length === 1) {
        await answerWithin(answerMs, () => target.add(only.name, only.data, only.opts));
        return;
      }
      for (let at = 0; at < rows.length; at += page) {
        await answerWithin(answerMs, () => target.addBulk(rows.slice(at, at + page)));
      }
    },
    async missing(queue, pool, ids) {
      const name = physicalName(queue, pool);
      const gone: string[] = [];
      for (let at = 0; at < ids.length; at += page) {
        const some = ids.slice(at, at + page);
        const there = await answerWithin(answerMs, () => backend.existing(name, some));
        gone.push(...some.filter((id) => !there.has(id)));
      }
      return gone;
    },
    async counts(queue, pool) {
      const target = open(queue, pool);
      const states = ['waiting', 'active', 'delayed', 'prioritized'] as const;
      const counted = await answerWithin(answerMs, () => target.getJobCounts(...states));
      const of = (state: (typeof states)[number]): number => Number(counted[state] ?? 0);
      return {
        waiting: of('waiting'),
        active: of('active'),
        delayed: of('delayed'),
        prioritized: of('prioritized'),
      };
    },
    async remove(queue, pool, ids) {
      const target = open(queue, pool);
      for (let at = 0; at < ids.length; at += removedAtOnce) {
        const some = ids.slice(at, at + removedAtOnce);
        await answerWithin(answerMs, () => Promise.all(some.map((id) => target.remove(id))));
      }
    },
    ping: () => answerWithin(answerMs, () => backend.ping()),
    async close() {
      await Promise.all([...opened.values()].map((queue) => queue.close().catch(complain)));
      await backend.close();
    },
  };
  return connected;
}

function toJob<Q extends QueueName>(queue: Q, { id, payload, priority, delayMs = 0 }: NewJob<Q>) {
  const traceparent = payload.traceparent ?? currentTraceparent();
  const parsed = queues[queue].payload.safeParse(traceparent ? { ...payload, traceparent } : payload);
  if (!parsed.success) throw new TypeError(`not a payload of queue ${queue}`);
  const jobId = id ?? jobIdOf(queue, parsed.data as PayloadOf<Q>);
  checkJobId(jobId);
  if (
    priority !== undefined &&
    !(Number.isInteger(priority) && priority >= 1 && priority <= highestPriority)
  ) {
    throw new TypeError(`a priority is an integer from 1 to ${highestPriority}`);
  }
  if (!(Number.isInteger(delayMs) && delayMs >= 0)) throw new TypeError('a delay is whole milliseconds');
  const opts = {
    ...delivery,
    jobId,
    ...(priority !== undefined && { priority }),
    ...(delayMs > 0 && { delay: delayMs }),
  };
  return { name: queue, data: parsed.data, opts };
}
