/**
 * Runs a duty in one process at a time. Whoever holds its lease runs it, renews, and stops in good time when it
 * can't; the others ask for the lease again and again. A late process is kept out by the lease's epoch, which
 * every statement of the duty names; the signal only spares it the errors.
 */
import { randomUUID } from 'node:crypto';
import type { Lease, LeaseStore } from '#database';
import type { Logger } from '#telemetry';

export interface ElectedJobOptions {
  readonly name: string;
  readonly leases: LeaseStore;
  /** For how long a dead holder's lease keeps the others out. */
  readonly ttlMs?: number;
  /** How often the holder renews and the others ask. */
  readonly renewMs?: number;
  /** Ends soon after its signal aborts. One that ends by itself gives the lease away. */
  readonly run: (signal: AbortSignal, lease: Lease) => Promise<void>;
  readonly log: Logger;
}

export interface ElectedJob {
  /** The lease, while this process holds it. */
  readonly lease: Lease | null;
  /** Ends the duty, then lets the next holder in at once. */
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

  async function stand(): Promise<void> {
    let failing = false;
    while (!stopping.signal.aborted) {
      try {
        const asked = performance.now();
        const lease = await withTimeout(ttlMs, leases.acquire(name, holder, ttlMs));
        if (lease) await serve(lease, asked);
        failing = false;
      } catch (error) {
        if (!failing) log.warn({ err: error, duty: name }, 'no election: the lease could not be asked for');
        failing = true;
      }
      await pause(renewMs, stopping.signal);
    }
  }

  async function serve(lease: Lease, since: number): Promise<void> {
    const term = createTenure(stopping.signal, ttlMs, since);
    held = lease;
    log.info({ duty: name, epoch: lease.epoch }, 'elected');
    const over = waitForAbort(term.signal);
    const work = Promise.resolve()
      .then(() => run(term.signal, lease))
      .catch((error: unknown) => log.error({ err: error, duty: name }, 'an elected duty failed'))
      .finally(term.end);
    while (!term.signal.aborted) {
      await pause(renewMs, term.signal);
      if (term.signal.aborted) break;
      const asked = performance.now();
      const renewal = leases.renew(lease, ttlMs).then(
        (renewed) => (renewed ? term.extend(asked) : term.end()),
        // The database may be back before the lease runs out; if not, the tenure ends by its own clock.
        () => {},
      );
      // A renewal that hangs must not keep the tenure's end from being seen.
      await Promise.race([renewal, over]);
    }
    await work;
    held = null;
    log.info({ duty: name, epoch: lease.epoch }, 'no longer elected');
    await withTimeout(ttlMs, leases.release(lease)).catch(() => {});
  }

  const standing = stand();
  return {
    get lease() {
      return held;
    },
    async stop() {
      stopping.abort();
      await standing;
    },
  };
}

/**
 * The time in which the lease is surely held, by this process's monotonic clock: it counts from before the
 * request went out, and ends a tenth early.
 */
function createTenure(stopping: AbortSignal, ttlMs: number, since: number) {
  const over = new AbortController();
  const end = () => over.abort();
  const until = (asked: number) => setTimeout(end, asked + ttlMs * 0.9 - performance.now());
  let timer = until(since);
  over.signal.addEventListener('abort', () => clearTimeout(timer));
  if (stopping.aborted) end();
  return {
    signal: AbortSignal.any([over.signal, stopping]),
    end,
    extend(asked: number) {
      clearTimeout(timer);
      if (!over.signal.aborted) timer = until(asked);
    },
  };
}

/** A database whose packets vanish answers never: whoever waits for it gives up. A lease granted too late runs out. */
async function withTimeout<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function waitForAbort(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}
