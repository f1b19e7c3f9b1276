/** Puts work into the queues and asks what is there. The queue is delivery only: Postgres holds the truth. */
import { Queue, type IQueueBackend } from 'bullmq';
import type { Logger } from '#telemetry';
import type { QueueBackend } from './backend.ts';
import { openBackend, type BackendAddress } from './open-backend.ts';
import {
  assertJobId,
  buildJobId,
  buildQueueName,
  queueCatalogue,
  type QueuePayload,
  type QueueName,
} from './catalogue.ts';
import { callWithTimeout, throttleErrorLog } from './errors.ts';
import { getTraceparent } from './trace-context.ts';

export interface NewJob<Q extends QueueName> {
  /** @default the catalogue's id for the payload */
  readonly id?: string;
  readonly payload: QueuePayload<Q>;
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
  readonly kind: QueueBackend['kind'];
  /**
   * Adds jobs in pages of 1,000. A job whose id still exists is left as it is, silently. When it throws, a
   * part may have been added: adding all of it again is safe.
   *
   * @param pool the pool whose workers shall run them; `null` for a shared queue.
   * @throws TypeError on an id, payload, priority or delay that the catalogue does not allow.
   */
  add<Q extends QueueName>(queue: Q, pool: string | null, jobs: readonly NewJob<Q>[]): Promise<void>;
  /** Of `ids`, in their order, those that have no job: done, or lost with the queue. One round trip per 1,000. */
  findMissing(queue: QueueName, pool: string | null, ids: readonly string[]): Promise<string[]>;
  getCounts(queue: QueueName, pool: string | null): Promise<QueueCounts>;
  /** Takes waiting jobs away; a job that runs is locked and stays, one that is not there is nothing to do. */
  remove(queue: QueueName, pool: string | null, ids: readonly string[]): Promise<void>;
  /** Resolves when the backend answers. */
  ping(): Promise<void>;
  /** Ends the producer's connections. Drain the worker hosts first: on Postgres they share the pool. */
  close(): Promise<void>;
}

/** Queues with what a worker host of the same process needs; apps see `Queues`. */
export interface QueuesWithBackend extends Queues {
  readonly backend: QueueBackend;
}

export interface ConnectQueuesOptions {
  readonly backend: BackendAddress;
  readonly log: Logger;
  /** @default 2,000 */
  readonly timeoutMs?: number;
}

/** On whichever backend the factory makes. */
type BullMqQueue = Queue<unknown, void, string, unknown, void, string, IQueueBackend>;

const pageSize = 1_000;
const removePageSize = 50;
const highestPriority = 2_097_151;

/** Never retried and never kept: Postgres decides about the first and records the second. */
const jobDefaults = { attempts: 1, removeOnComplete: true, removeOnFail: true } as const;

/** Connects in the background: an unreachable backend shows in `ping` and in what the methods throw. */
export function connectQueues({ backend: address, log, timeoutMs = 2_000 }: ConnectQueuesOptions): Queues {
  const backend = openBackend(address, log);
  const opened = new Map<string, BullMqQueue>();
  const complain = throttleErrorLog(log, 'a queue reports an error');

  const open = (queue: QueueName, pool: string | null): BullMqQueue => {
    const name = buildQueueName(queue, pool);
    let found = opened.get(name);
    if (!found) {
      const streams = { events: { maxLen: 1_000 } };
      found = new Queue(name, { ...backend.queueOptions, streams }, backend.factory);
      found.on('error', complain);
      opened.set(name, found);
    }
    return found;
  };

  const connected: QueuesWithBackend = {
    kind: backend.kind,
    backend,
    async add(queue, pool, jobs) {
      const target = open(queue, pool);
      const rows = jobs.map((job) => buildJob(queue, job));
      const [only] = rows;
      // A direct request's: on Postgres the statement for many takes several times as long.
      if (only && rows.length === 1) {
        await callWithTimeout(timeoutMs, () => target.add(only.name, only.data, only.opts));
        return;
      }
      for (let at = 0; at < rows.length; at += pageSize) {
        await callWithTimeout(timeoutMs, () => target.addBulk(rows.slice(at, at + pageSize)));
      }
    },
    async findMissing(queue, pool, ids) {
      const name = buildQueueName(queue, pool);
      const gone: string[] = [];
      for (let at = 0; at < ids.length; at += pageSize) {
        const some = ids.slice(at, at + pageSize);
        const there = await callWithTimeout(timeoutMs, () => backend.findExistingJobs(name, some));
        gone.push(...some.filter((id) => !there.has(id)));
      }
      return gone;
    },
    async getCounts(queue, pool) {
      const target = open(queue, pool);
      const states = ['waiting', 'active', 'delayed', 'prioritized'] as const;
      const counted = await callWithTimeout(timeoutMs, () => target.getJobCounts(...states));
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
      for (let at = 0; at < ids.length; at += removePageSize) {
        const some = ids.slice(at, at + removePageSize);
        await callWithTimeout(timeoutMs, () => Promise.all(some.map((id) => target.remove(id))));
      }
    },
    ping: () => callWithTimeout(timeoutMs, () => backend.ping()),
    async close() {
      await Promise.all([...opened.values()].map((queue) => queue.close().catch(complain)));
      await backend.close();
    },
  };
  return connected;
}

function buildJob<Q extends QueueName>(queue: Q, { id, payload, priority, delayMs = 0 }: NewJob<Q>) {
  const traceparent = payload.traceparent ?? getTraceparent();
  const parsed = queueCatalogue[queue].payload.safeParse(traceparent ? { ...payload, traceparent } : payload);
  if (!parsed.success) throw new TypeError(`not a payload of queue ${queue}`);
  const jobId = id ?? buildJobId(queue, parsed.data as QueuePayload<Q>);
  assertJobId(jobId);
  if (
    priority !== undefined &&
    !(Number.isInteger(priority) && priority >= 1 && priority <= highestPriority)
  ) {
    throw new TypeError(`a priority is an integer from 1 to ${highestPriority}`);
  }
  if (!(Number.isInteger(delayMs) && delayMs >= 0)) throw new TypeError('a delay is whole milliseconds');
  const opts = {
    ...jobDefaults,
    jobId,
    ...(priority !== undefined && { priority }),
    ...(delayMs > 0 && { delay: delayMs }),
  };
  return { name: queue, data: parsed.data, opts };
}
