/** Adds jobs to the queues and reads what they hold. A queue only delivers: Postgres is the source of truth. */
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
  /** 1 (first) to 2,097,151. Jobs without a priority run before all that have one. */
  readonly priority?: number;
  readonly delayMs?: number;
}

export interface QueueCounts {
  readonly waiting: number;
  readonly active: number;
  readonly delayed: number;
  readonly prioritized: number;
}

/** Every method throws `Unavailable` after about two seconds when the backend does not answer. */
export interface Queues {
  readonly kind: QueueBackend['kind'];
  /**
   * Adds jobs in pages of 1,000. A job whose id still exists is ignored. When it throws, some jobs may have been
   * added: adding all of them again is safe.
   *
   * @param lane the lane of the jobs; `null` for a shared queue.
   * @throws TypeError on an id, payload, priority or delay that the catalogue does not allow.
   */
  add<Q extends QueueName>(queue: Q, lane: string | null, jobs: readonly NewJob<Q>[]): Promise<void>;
  /** Returns the ids that have no job, in order: the job is done or was lost with the queue. One round trip per 1,000. */
  findMissing(queue: QueueName, lane: string | null, ids: readonly string[]): Promise<string[]>;
  getCounts(queue: QueueName, lane: string | null): Promise<QueueCounts>;
  /** Removes waiting jobs. A running job is locked and stays; a missing job is ignored. */
  remove(queue: QueueName, lane: string | null, ids: readonly string[]): Promise<void>;
  /** Resolves when the backend answers. */
  ping(): Promise<void>;
  /** Closes the connections. Drain the worker hosts first: on Postgres they share the pool. */
  close(): Promise<void>;
}

/** `Queues` with the backend that a worker host of the same process uses. Apps see `Queues` only. */
export interface QueuesWithBackend extends Queues {
  readonly backend: QueueBackend;
}

export interface ConnectQueuesOptions {
  readonly backend: BackendAddress;
  readonly log: Logger;
  /** @default 2,000 */
  readonly timeoutMs?: number;
}

type BullMqQueue = Queue<unknown, void, string, unknown, void, string, IQueueBackend>;

const pageSize = 1_000;
const removePageSize = 50;
const maxPriority = 2_097_151;

/** No retries and no job history in the queue: Postgres decides about retries and records attempts. */
const jobDefaults = { attempts: 1, removeOnComplete: true, removeOnFail: true } as const;

/** Connects in the background. When the backend is unreachable, `ping` and the other methods throw `Unavailable`. */
export function connectQueues({ backend: address, log, timeoutMs = 2_000 }: ConnectQueuesOptions): Queues {
  const backend = openBackend(address, log);
  const openQueues = new Map<string, BullMqQueue>();
  const logError = throttleErrorLog(log, 'a queue reports an error');

  const open = (queue: QueueName, lane: string | null): BullMqQueue => {
    const name = buildQueueName(queue, lane);
    let bullMqQueue = openQueues.get(name);
    if (!bullMqQueue) {
      const streams = { events: { maxLen: 1_000 } };
      bullMqQueue = new Queue(name, { ...backend.queueOptions, streams }, backend.factory);
      bullMqQueue.on('error', logError);
      openQueues.set(name, bullMqQueue);
    }
    return bullMqQueue;
  };

  const queues: QueuesWithBackend = {
    kind: backend.kind,
    backend,
    async add(queue, lane, jobs) {
      const target = open(queue, lane);
      const bullMqJobs = jobs.map((job) => buildJob(queue, job));
      const [first] = bullMqJobs;
      // The usual case for direct requests: on Postgres the bulk statement takes several times as long.
      if (first && bullMqJobs.length === 1) {
        await callWithTimeout(timeoutMs, () => target.add(first.name, first.data, first.opts));
        return;
      }
      for (let start = 0; start < bullMqJobs.length; start += pageSize) {
        await callWithTimeout(timeoutMs, () => target.addBulk(bullMqJobs.slice(start, start + pageSize)));
      }
    },
    async findMissing(queue, lane, ids) {
      const name = buildQueueName(queue, lane);
      const missing: string[] = [];
      for (let start = 0; start < ids.length; start += pageSize) {
        const page = ids.slice(start, start + pageSize);
        const existing = await callWithTimeout(timeoutMs, () => backend.findExistingJobs(name, page));
        missing.push(...page.filter((id) => !existing.has(id)));
      }
      return missing;
    },
    async getCounts(queue, lane) {
      const target = open(queue, lane);
      const states = ['waiting', 'active', 'delayed', 'prioritized'] as const;
      const counts = await callWithTimeout(timeoutMs, () => target.getJobCounts(...states));
      const count = (state: (typeof states)[number]): number => Number(counts[state] ?? 0);
      return {
        waiting: count('waiting'),
        active: count('active'),
        delayed: count('delayed'),
        prioritized: count('prioritized'),
      };
    },
    async remove(queue, lane, ids) {
      const target = open(queue, lane);
      for (let start = 0; start < ids.length; start += removePageSize) {
        const page = ids.slice(start, start + removePageSize);
        await callWithTimeout(timeoutMs, () => Promise.all(page.map((id) => target.remove(id))));
      }
    },
    ping: () => callWithTimeout(timeoutMs, () => backend.ping()),
    async close() {
      await Promise.all([...openQueues.values()].map((queue) => queue.close().catch(logError)));
      await backend.close();
    },
  };
  return queues;
}

function buildJob<Q extends QueueName>(queue: Q, { id, payload, priority, delayMs = 0 }: NewJob<Q>) {
  const traceparent = payload.traceparent ?? getTraceparent();
  const parsed = queueCatalogue[queue].payload.safeParse(traceparent ? { ...payload, traceparent } : payload);
  if (!parsed.success) throw new TypeError(`invalid payload for queue ${queue}`);
  const jobId = id ?? buildJobId(queue, parsed.data as QueuePayload<Q>);
  assertJobId(jobId);
  if (priority !== undefined && !(Number.isInteger(priority) && priority >= 1 && priority <= maxPriority)) {
    throw new TypeError(`a job's priority must be an integer from 1 to ${maxPriority}`);
  }
  if (!(Number.isInteger(delayMs) && delayMs >= 0)) {
    throw new TypeError("a job's delay must be a whole number of milliseconds, 0 or more");
  }
  const opts = {
    ...jobDefaults,
    jobId,
    ...(priority !== undefined && { priority }),
    ...(delayMs > 0 && { delay: delayMs }),
  };
  return { name: queue, data: parsed.data, opts };
}
