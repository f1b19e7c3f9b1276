/**
 * Leader election by a lease in Postgres: a job runs in one process at a time. The process that holds the job's lease
 * runs it and renews the lease, and stops before the lease ends when it cannot renew; the others try to acquire it.
 * A process that stopped too late is kept out by the lease's epoch, which every statement of the job names; its abort
 * signal only saves it the errors.
 */
import { randomUUID } from 'node:crypto';
import { onAbort, raceAbort, sleepOrAbort, withTimeout } from '#async';
import type { Lease, LeaseStore } from '#database';
import type { Logger } from '#telemetry';

export interface ElectedJobOptions {
  readonly name: string;
  readonly leases: LeaseStore;
  /** How long the lease of a process that died keeps the others out. */
  readonly ttlMs?: number;
  /** How often the holder renews, and the others try to acquire. */
  readonly renewMs?: number;
  /** Has to end soon after its signal aborts. If it ends by itself, the lease is released. */
  readonly run: (signal: AbortSignal, lease: Lease) => Promise<void>;
  readonly log: Logger;
}

export interface ElectedJob {
  /** The lease, while this process holds it. */
  readonly lease: Lease | null;
  /** Ends the job, then releases the lease so that another process starts at once. */
  stop(): Promise<void>;
}

export function runElectedJob({
  name,
  leases,
  ttlMs = 2_000,
  renewMs = 500,
  run,
  log,
}: ElectedJobOptions): ElectedJob {
  const holder = randomUUID();
  const stopping = new AbortController();
  let held: Lease | null = null;

  async function campaign(): Promise<void> {
    let isFailing = false;
    while (!stopping.signal.aborted) {
      try {
        const requestedAt = performance.now();
        // Over a connection whose packets are dropped no answer comes. A lease that is granted after the timeout expires.
        const lease = await withTimeout(leases.acquire(name, holder, ttlMs), ttlMs);
        if (lease) await lead(lease, requestedAt);
        isFailing = false;
      } catch (error) {
        if (!isFailing)
          log.warn({ err: error, job: name }, 'could not ask for the lease of a background job');
        isFailing = true;
      }
      await sleepOrAbort(renewMs, stopping.signal);
    }
  }

  async function lead(lease: Lease, requestedAt: number): Promise<void> {
    const tenure = createTenure(stopping.signal, ttlMs, requestedAt);
    held = lease;
    log.info({ job: name, epoch: lease.epoch }, 'elected');
    const work = Promise.resolve()
      .then(() => run(tenure.signal, lease))
      .catch((error: unknown) => log.error({ err: error, job: name }, 'an elected job failed'))
      .finally(tenure.end);
    while (!tenure.signal.aborted) {
      await sleepOrAbort(renewMs, tenure.signal);
      if (tenure.signal.aborted) break;
      const renewedAt = performance.now();
      const renewal = leases.renew(lease, ttlMs).then(
        (renewed) => (renewed ? tenure.extend(renewedAt) : tenure.end()),
        // The database may be back before the lease ends. If not, the tenure's own timer ends it.
        () => {},
      );
      // A renewal without an answer must not hide the end of the tenure.
      await raceAbort(renewal, tenure.signal).catch(() => {});
    }
    await work;
    held = null;
    log.info({ job: name, epoch: lease.epoch }, 'no longer elected');
    await withTimeout(leases.release(lease), ttlMs).catch(() => {});
  }

  const campaigning = campaign();
  return {
    get lease() {
      return held;
    },
    async stop() {
      stopping.abort();
      await campaigning;
    },
  };
}

/**
 * The time in which this process surely holds the lease, by its own monotonic clock: it starts when the request was
 * sent, and ends after nine tenths of the lease's time.
 */
function createTenure(stopping: AbortSignal, ttlMs: number, requestedAt: number) {
  const over = new AbortController();
  const end = () => over.abort();
  const startTimer = (at: number) => setTimeout(end, at + ttlMs * 0.9 - performance.now());
  let timer = startTimer(requestedAt);
  onAbort(over.signal, () => clearTimeout(timer));
  if (stopping.aborted) end();
  return {
    signal: AbortSignal.any([over.signal, stopping]),
    end,
    extend(renewedAt: number) {
      clearTimeout(timer);
      if (!over.signal.aborted) timer = startTimer(renewedAt);
    },
  };
}
