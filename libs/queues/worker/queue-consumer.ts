/** Consumes one queue: owns its BullMQ worker and replaces a worker that stopped claiming jobs. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker, type IQueueBackend, type Job } from 'bullmq';
import { onAbort, waitAtMost } from '#async';
import type { QueueBackend } from '../backend.ts';
import { buildQueueName, queueCatalogue, type QueueName } from '../catalogue.ts';
import { throttleErrorLog } from '../errors.ts';
import { observeClaims, type ClaimObserver } from './observe-claims.ts';
import { JobInterrupted } from './job-interrupted.ts';
import { runJob, type RunContext, type RunningJob } from './run-job.ts';

/** Two passes of the check find a stalled job: at most 4 s after its lock of 6 s expired. */
const stalledIntervalMs = 2_000;
/** BullMQ would fail a job after this many stalls. Postgres alone decides when a job fails. */
const unlimitedStalls = 1_000_000;
/** An idle worker polls for jobs at least this often, even when notifications are lost. */
const idlePollSeconds = 5;
/** An idle worker claims every 5 s, or every 10 s while a job is delayed. After a longer silence it is checked. */
const suspiciousAfterMs = 15_000;
const unhealthyAfterMs = 30_000;
const strikesToReplace = 3;

class StoppableWorker extends Worker<unknown, void, string, IQueueBackend> {
  /** Stops renewing locks and closes the connections, even when a job still runs or hangs: `close` has no time limit. */
  async abandon(): Promise<void> {
    await this.lockManager.close();
    await waitAtMost(1_000, Promise.allSettled([this.backend.close(true), this.backend.disconnect()]));
  }
}

interface WorkerInstance {
  readonly worker: StoppableWorker;
  readonly claims: ClaimObserver;
  readonly running: Set<RunningJob>;
}

export interface QueueHealth {
  readonly queue: QueueName;
  /** False when the backend answered no claim of the worker for 30 s although it has a free slot. */
  readonly isConsuming: boolean;
  /** When the backend last answered one of its claims. */
  readonly lastAnsweredAt: Date;
  readonly running: number;
  readonly concurrency: number;
  /** How many unresponsive workers were replaced. */
  readonly replacements: number;
}

export interface QueueConsumerOptions<Q extends QueueName> extends RunContext<Q> {
  readonly backend: QueueBackend;
  readonly lane: string | null;
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
  private replacements = 0;
  private replacedAt = 0;
  private stopping = false;

  constructor(options: QueueConsumerOptions<Q>) {
    const { queue, log, now } = options;
    this.options = options;
    this.queue = queue;
    this.logError = throttleErrorLog(log.child({ queue }), 'a queue worker reports an error');
    this.lastAnswerAt = now();
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
      replacements: this.replacements,
    };
  }

  /** Replaces the worker when it made no claim for a while although the backend answers. Called every 3 s. */
  async checkLiveness(): Promise<void> {
    if (this.stopping || !this.looksUnresponsive()) {
      this.strikes = 0;
      return;
    }
    try {
      await this.options.backend.ping();
    } catch {
      // The backend is down: a new worker could not consume either.
      this.strikes = 0;
      return;
    }
    if (++this.strikes >= strikesToReplace && !this.stopping) this.replace();
  }

  /** Takes no more jobs. Resolves when all running jobs have ended and every connection is closed, if ever. */
  async stop(): Promise<void> {
    this.stopping = true;
    this.current.claims.stopped = true;
    await Promise.all([this.current.worker.close(), ...this.retiring.values()]);
  }

  /** Closes by force. Running jobs keep running; their locks expire. */
  async abandon(): Promise<void> {
    await Promise.all([this.current, ...this.retiring.keys()].map(({ worker }) => worker.abandon()));
  }

  private start(): WorkerInstance {
    const { queue, backend, concurrency, lane } = this.options;
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
      buildQueueName(queue, lane),
      // BullMQ creates a signal only for a processor that declares three parameters.
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
    worker.on('stalled', (jobId) => this.options.log.warn({ queue, jobId }, 'a stalled job is redelivered'));
    worker.on('lockRenewalFailed', (jobIds) => {
      for (const job of running)
        if (jobIds.includes(job.jobId)) job.interrupt(new JobInterrupted('lock_lost'));
    });
    // A worker without a free slot claims no job: a renewed lock proves that it is alive.
    worker.on('locksRenewed', () => running.size >= concurrency && this.recordAnswer());
    return { worker, claims, running };
  }

  private async process(job: Job, signal: AbortSignal | undefined, running: Set<RunningJob>): Promise<void> {
    this.recordAnswer();
    await runJob(job, this.options, (started) => {
      running.add(started);
      const removeListener = onAbort(signal, () => started.interrupt(new JobInterrupted('canceled')));
      return () => {
        removeListener();
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

  /** The old worker keeps the locks of its running jobs until they end. The new one takes jobs at once. */
  private replace(): void {
    const old = this.current;
    const silentMs = this.options.now() - this.lastAnswerAt;
    this.options.log.warn({ queue: this.queue, silentMs }, 'an unresponsive queue worker is replaced');
    this.strikes = 0;
    this.replacements++;
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
  // The last job's completion may still be recorded, if the connection works.
  await waitAtMost(2_000, closed);
  await worker.abandon();
}
