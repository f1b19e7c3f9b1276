/** The background jobs of this process: feature modules add them, `start-api.ts` starts and stops them. */
import { Inject, Injectable } from '@nestjs/common';
import { LeaseStore } from '#database';
import type { MessageTopic, Bus } from '#realtime';
import type { Logger } from '#telemetry';
import { BUS, LOGGER } from '../infrastructure/tokens.ts';
import { runElectedJob } from './leader-election.ts';
import { createLoop } from './loop.ts';

export interface RunningJob {
  /** Ends the current run, then settles. */
  stop(): Promise<void>;
}

export interface ElectedLoop {
  /** Name of the lease and of the job in the log. */
  readonly name: string;
  readonly intervalMs: number;
  readonly run: () => Promise<void>;
  /** Messages on the bus that start a run at once. */
  readonly wakeOn?: readonly MessageTopic[];
  /** Set for jobs that may wait 20 s for their next process: they renew their lease less often. */
  readonly isRelaxed?: boolean;
}

/** Compares Postgres with the queue or the object storage and repairs the difference. It may be repeated at any time. */
export interface ReconcileStep {
  /** Name in the log. */
  readonly name: string;
  readonly run: () => Promise<void>;
}

/** Deletes the rows of one table that are older than their retention. */
export interface RetentionStep {
  /** Name of the rows in the log. */
  readonly rows: string;
  /** @returns how many rows it deleted. */
  readonly run: () => Promise<number>;
}

const relaxedLease = { ttlMs: 20_000, renewMs: 5_000 };

@Injectable()
export class BackgroundJobs {
  private readonly starts: (() => RunningJob)[] = [];
  private running: RunningJob[] = [];
  /** Run by `MaintenanceModule`, in this order. */
  readonly reconcileSteps: ReconcileStep[] = [];
  readonly retentionSteps: RetentionStep[] = [];

  constructor(
    @Inject(LeaseStore) private readonly leases: LeaseStore,
    @Inject(BUS) private readonly bus: Bus,
    @Inject(LOGGER) private readonly log: Logger,
  ) {}

  /** Adds a job that every API process runs, or that elects its process itself. */
  add(start: () => RunningJob): void {
    this.starts.push(start);
  }

  /** Adds a loop that one API process runs at a time. */
  addElectedLoop(loop: ElectedLoop): void {
    this.add(() => this.startElectedLoop(loop));
  }

  /** Adds steps to the reconcile job. They run in this order; the steps of two features do not depend on each other. */
  addReconcileSteps(...steps: readonly ReconcileStep[]): void {
    this.reconcileSteps.push(...steps);
  }

  /** Adds a step to the job that deletes expired rows. */
  addRetentionStep(step: RetentionStep): void {
    this.retentionSteps.push(step);
  }

  start(): void {
    this.running = this.starts.map((start) => start());
  }

  async stop(): Promise<void> {
    await Promise.all(this.running.splice(0).map((job) => job.stop()));
  }

  private startElectedLoop({ name, intervalMs, run, wakeOn = [], isRelaxed }: ElectedLoop): RunningJob {
    const { leases, bus, log } = this;
    const loop = createLoop(name, intervalMs, run, log);
    for (const topic of wakeOn) {
      // Without the bus, the interval alone drives the loop.
      bus.subscribe(topic, loop.wake, loop.wake).catch(() => {});
    }
    return runElectedJob({ name, leases, log, run: loop.run, ...(isRelaxed && relaxedLease) });
  }
}
