/** One queue that this process works on: its BullMQ worker, and the watchdog that replaces one gone deaf. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker, type IQueueBackend, type Job } from 'bullmq';
import type { QueueBackend } from '../backend.ts';
import { buildQueueName, queueCatalogue, type QueueName } from '../catalogue.ts';
import { throttleErrorLog } from '../errors.ts';
import { observeClaims, type ClaimObserver } from './observe-claims.ts';
import { JobInterrupted } from './job-interrupted.ts';
import { runJob, type RunContext, type RunningJob } from './run-job.ts';

/** Two passes of the check find a stalled job: 6 s of lock and at most 4 s more. */
const stalledIntervalMs = 2_000;
/** BullMQ would fail a job after so many stalls; Postgres alone judges poison. */
const unlimitedStalls = 1_000_000;
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

interface WorkerInstance {
  readonly worker: StoppableWorker;
  readonly claims: ClaimObserver;
  readonly running: Set<RunningJob>;
}

export interface QueueHealth {
  readonly queue: QueueName;
  /** False when the worker has claimed nothing, nor asked for anything, for 30 s although it has a free slot. */
  readonly isConsuming: boolean;
  /** When the backend last answered one of its claims. */
  readonly lastAnsweredAt: Date;
  readonly running: number;
  readonly concurrency: number;
  /** How often the watchdog put a new worker in place of a deaf one. */
  readonly replacements: number;
}

export interface QueueConsumerOptions<Q extends QueueName> extends RunContext<Q> {
  readonly backend: QueueBackend;
  readonly pool: string;
  readonly concurrency: number;
}

export class QueueConsumer<Q extends QueueName = QueueName> {
  readonly queue: Q;
  private readonly options: QueueConsumerOptions<Q>;
  private readonly logError: (error: unknown) => void;
  private current: WorkerInstance;
  private readonly retiring = new Map<WorkerInstance, Promise<void>>();
  private lastAnswerAt: number;
  private strikes = 0;
  private replaced = 0;
  private replacedAt = 0;
  private stopping = false;

  constructor(deps: QueueConsumerOptions<Q>) {
    this.options = deps;
    this.queue = deps.queue;
    this.logError = throttleErrorLog(
      deps.log.child({ queue: deps.queue }),
      'a queue worker reports an error',
    );
    this.lastAnswerAt = deps.now();
    this.current = this.start();
  }

  listRunning(): RunningJob[] {
    return [this.current, ...this.retiring.keys()].flatMap(({ running }) => [...running]);
  }

  getHealth(): QueueHealth {
    return {
      queue: this.queue,
      isConsuming: this.options.now() - this.lastAnswerAt <= unhealthyAfterMs && !this.stopping,
      lastAnsweredAt: new Date(this.lastAnswerAt),
      running: this.listRunning().length,
      concurrency: this.options.concurrency,
      replacements: this.replaced,
    };
  }

  /** One round of the watchdog: a worker that is silent while the backend answers others is replaced. */
  async checkLiveness(): Promise<void> {
    if (this.stopping || !this.looksUnresponsive()) {
      this.strikes = 0;
      return;
    }
    try {
      await this.options.backend.ping();
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

  private start(): WorkerInstance {
    const { queue, backend, concurrency, pool } = this.options;
    const running = new Set<RunningJob>();
    const claims: ClaimObserver = {
      stopped: false,
      onAnswer: () => this.recordAnswer(),
      onFailure: this.logError,
    };
    const { lockMs } = queueCatalogue[queue];
    const process = (job: Job, signal: AbortSignal | undefined): Promise<void> =>
      this.process(job, signal, running);
    const worker = new StoppableWorker(
      buildQueueName(queue, pool),
      // BullMQ makes a signal only for a processor that declares three parameters.
      (job, _token, signal) => process(job, signal),
      {
        ...backend.workerOptions,
        concurrency,
        lockDuration: lockMs,
        stalledInterval: stalledIntervalMs,
        maxStalledCount: unlimitedStalls,
        drainDelay: idlePollSeconds,
        runRetryDelay: 500,
        removeOnComplete: { count: 0 },
        removeOnFail: { count: 0 },
      },
      observeClaims(backend.factory, claims),
    );
    worker.on('error', this.logError);
    worker.on('stalled', (jobId) =>
      this.options.log.warn({ queue, jobId }, 'a stalled job is delivered again'),
    );
    worker.on('lockRenewalFailed', (jobIds) => {
      for (const job of running)
        if (jobIds.includes(job.jobId)) job.interrupt(new JobInterrupted('lock_lost'));
    });
    // With every slot taken nothing is claimed; a renewed lock is the proof then.
    worker.on('locksRenewed', () => running.size >= concurrency && this.recordAnswer());
    return { worker, claims, running };
  }

  private async process(job: Job, signal: AbortSignal | undefined, running: Set<RunningJob>): Promise<void> {
    this.recordAnswer();
    await runJob(job, this.options, (started) => {
      running.add(started);
      const forward = (): void => started.interrupt(new JobInterrupted('canceled'));
      signal?.addEventListener('abort', forward, { once: true });
      return () => {
        signal?.removeEventListener('abort', forward);
        running.delete(started);
        this.recordAnswer();
      };
    });
  }

  private recordAnswer(): void {
    this.lastAnswerAt = this.options.now();
  }

  private looksUnresponsive(): boolean {
    const { worker, running } = this.current;
    if (!worker.isRunning()) return true;
    if (running.size >= this.options.concurrency) return false;
    return this.options.now() - Math.max(this.lastAnswerAt, this.replacedAt) > suspiciousAfterMs;
  }

  /** The deaf worker keeps the locks of what it runs until that ends; the new one takes work at once. */
  private replace(): void {
    const old = this.current;
    const silentMs = this.options.now() - this.lastAnswerAt;
    this.options.log.warn({ queue: this.queue, silentMs }, 'a queue worker had gone deaf and is replaced');
    this.strikes = 0;
    this.replaced++;
    this.replacedAt = this.options.now();
    this.current = this.start();
    const retired = retire(old).catch(this.logError);
    this.retiring.set(old, retired);
    void retired.finally(() => this.retiring.delete(old));
  }
}

async function retire({ worker, claims, running }: WorkerInstance): Promise<void> {
  claims.stopped = true;
  const closed = worker.close();
  while (running.size > 0) await sleep(250);
  // Time for the last completion to be recorded, if the connection still carries it.
  await Promise.race([closed, sleep(2_000, undefined, { ref: false })]);
  await worker.abandon();
}
