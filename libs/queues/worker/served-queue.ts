/** One queue that this process works on: its BullMQ worker, and the watchdog that replaces one gone deaf. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker, type IQueueBackend, type Job } from 'bullmq';
import type { Backend } from '../backend.ts';
import { physicalName, queues, type QueueName } from '../catalogue.ts';
import { sparingly } from '../errors.ts';
import { observingClaims, type Claims } from './consumption.ts';
import { Interrupted } from './interrupted.ts';
import { runJob, type RunContext, type RunningJob } from './run-job.ts';

/** Two passes of the check find a stalled job: 6 s of lock and at most 4 s more. */
const stalledIntervalMs = 2_000;
/** BullMQ would fail a job after so many stalls; Postgres alone judges poison. */
const stallsWithoutLimit = 1_000_000;
/** An idle worker asks for work at least so often, whatever became of its notifications. */
const idlePollSeconds = 5;
/** An idle worker claims every 5 s, or 10 s beside a delayed job; a longer silence is suspicious. */
const suspiciousAfterMs = 15_000;
const unhealthyAfterMs = 30_000;
const strikesToReplace = 3;

class StoppableWorker extends Worker<unknown, void, string, IQueueBackend> {
  /** `close` has no time-out: this lets go of locks and connections, whatever still runs or hangs. */
  async abandon(): Promise<void> {
    await this.lockManager.close();
    const gone = [this.backend.close(true), this.backend.disconnect()];
    await Promise.race([Promise.allSettled(gone), sleep(1_000, undefined, { ref: false })]);
  }
}

interface Generation {
  readonly worker: StoppableWorker;
  readonly claims: Claims;
  readonly running: Set<RunningJob>;
}

export interface QueueHealth {
  readonly queue: QueueName;
  /** False when the worker has claimed nothing, nor asked for anything, for 30 s although it has a free slot. */
  readonly consuming: boolean;
  /** When the backend last answered one of its claims. */
  readonly lastConsumedAt: Date;
  readonly running: number;
  readonly concurrency: number;
  /** How often the watchdog put a new worker in place of a deaf one. */
  readonly replaced: number;
}

export interface ServedQueueOptions<Q extends QueueName> extends RunContext<Q> {
  readonly backend: Backend;
  readonly pool: string;
  readonly concurrency: number;
}

export class ServedQueue<Q extends QueueName = QueueName> {
  readonly queue: Q;
  private readonly on: ServedQueueOptions<Q>;
  private readonly complain: (error: unknown) => void;
  private current: Generation;
  private readonly retiring = new Map<Generation, Promise<void>>();
  private lastAnswerAt: number;
  private strikes = 0;
  private replaced = 0;
  private replacedAt = 0;
  private stopping = false;

  constructor(on: ServedQueueOptions<Q>) {
    this.on = on;
    this.queue = on.queue;
    this.complain = sparingly(on.log.child({ queue: on.queue }), 'a queue worker reports an error');
    this.lastAnswerAt = on.now();
    this.current = this.start();
  }

  running(): RunningJob[] {
    return [this.current, ...this.retiring.keys()].flatMap(({ running }) => [...running]);
  }

  health(): QueueHealth {
    return {
      queue: this.queue,
      consuming: this.on.now() - this.lastAnswerAt <= unhealthyAfterMs && !this.stopping,
      lastConsumedAt: new Date(this.lastAnswerAt),
      running: this.running().length,
      concurrency: this.on.concurrency,
      replaced: this.replaced,
    };
  }

  /** One round of the watchdog: a worker that is silent while the backend answers others is replaced. */
  async watch(): Promise<void> {
    if (this.stopping || !this.looksDeaf()) {
      this.strikes = 0;
      return;
    }
    try {
      await this.on.backend.ping();
    } catch {
      // The backend is down: nobody consumes, and a new worker would not either.
      this.strikes = 0;
      return;
    }
    if (++this.strikes >= strikesToReplace && !this.stopping) this.replace();
  }

  /** Takes no more work. Resolves when all that runs has ended and every connection is closed, if ever. */
  async stop(): Promise<void> {
    this.stopping = true;
    this.current.claims.stopped = true;
    await Promise.all([this.current.worker.close(), ...this.retiring.values()]);
  }

  async abandon(): Promise<void> {
    await Promise.all([this.current, ...this.retiring.keys()].map(({ worker }) => worker.abandon()));
  }

  private start(): Generation {
    const { queue, backend, concurrency, pool } = this.on;
    const running = new Set<RunningJob>();
    const claims: Claims = { stopped: false, answered: () => this.answered(), failed: this.complain };
    const { lockMs } = queues[queue];
    const process = (job: Job, signal: AbortSignal | undefined): Promise<void> =>
      this.process(job, signal, running);
    const worker = new StoppableWorker(
      physicalName(queue, pool),
      // BullMQ makes a signal only for a processor that declares three parameters.
      (job, _token, signal) => process(job, signal),
      {
        ...backend.consuming,
        concurrency,
        lockDuration: lockMs,
        stalledInterval: stalledIntervalMs,
        maxStalledCount: stallsWithoutLimit,
        drainDelay: idlePollSeconds,
        runRetryDelay: 500,
        removeOnComplete: { count: 0 },
        removeOnFail: { count: 0 },
      },
      observingClaims(backend.factory, claims),
    );
    worker.on('error', this.complain);
    worker.on('stalled', (jobId) => this.on.log.warn({ queue, jobId }, 'a stalled job is delivered again'));
    worker.on('lockRenewalFailed', (jobIds) => {
      for (const job of running) if (jobIds.includes(job.jobId)) job.interrupt(new Interrupted('lock_lost'));
    });
    // With every slot taken nothing is claimed; a renewed lock is the proof then.
    worker.on('locksRenewed', () => running.size >= concurrency && this.answered());
    return { worker, claims, running };
  }

  private async process(job: Job, signal: AbortSignal | undefined, running: Set<RunningJob>): Promise<void> {
    this.answered();
    await runJob(job, this.on, (started) => {
      running.add(started);
      const forward = (): void => started.interrupt(new Interrupted('canceled'));
      signal?.addEventListener('abort', forward, { once: true });
      return () => {
        signal?.removeEventListener('abort', forward);
        running.delete(started);
        this.answered();
      };
    });
  }

  private answered(): void {
    this.lastAnswerAt = this.on.now();
  }

  private looksDeaf(): boolean {
    const { worker, running } = this.current;
    if (!worker.isRunning()) return true;
    if (running.size >= this.on.concurrency) return false;
    return this.on.now() - Math.max(this.lastAnswerAt, this.replacedAt) > suspiciousAfterMs;
  }

  /** The deaf worker keeps the locks of what it runs until that ends; the new one takes work at once. */
  private replace(): void {
    const old = this.current;
    const silentMs = this.on.now() - this.lastAnswerAt;
    this.on.log.warn({ queue: this.queue, silentMs }, 'a queue worker had gone deaf and is replaced');
    this.strikes = 0;
    this.replaced++;
    this.replacedAt = this.on.now();
    this.current = this.start();
    const retired = retire(old).catch(this.complain);
    this.retiring.set(old, retired);
    void retired.finally(() => this.retiring.delete(old));
  }
}

async function retire({ worker, claims, running }: Generation): Promise<void> {
  claims.stopped = true;
  const closed = worker.close();
  while (running.size > 0) await sleep(250);
  // Time for the last completion to be recorded, if the connection still carries it.
  await Promise.race([closed, sleep(2_000, undefined, { ref: false })]);
  await worker.abandon();
}
