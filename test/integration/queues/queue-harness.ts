/** Fixture of the queue tests: a backend that tests may break, and queues and worker hosts that are closed after each. */
import { randomBytes } from 'node:crypto';
import { pino, type Logger } from 'pino';
import { createId } from '@millrace/contracts';
import { waitForAbort } from '#async';
import { Unavailable } from '#domain';
import {
  buildJobId,
  connectQueues,
  startWorkerHost,
  type BackendAddress,
  type JobHandler,
  type JobInterrupted,
  type JobOutcome,
  type QueueName,
  type Queues,
  type WorkerHost,
} from '#queues';

export interface BackendUnderTest {
  /** Through a proxy, so that a test can interrupt the network. */
  readonly address: BackendAddress;
  /** The same without the proxy. */
  readonly direct: BackendAddress;
  /** Adds a job as another program would, by the queue's name in the backend. */
  addForeign(physicalQueue: string, jobId: string, data: unknown): Promise<void>;
  /** Returns everything that the backend holds, as text. */
  dump(): Promise<string>;
  /** Removes every job. */
  empty(): Promise<void>;
  /** Stops the backend for `downMs` and starts it again, without loss of acknowledged jobs. */
  restart(downMs: number, meanwhile: () => Promise<void>): Promise<void>;
  dropPackets(): void;
  passNewConnections(): void;
  close(): Promise<void>;
}

type Handlers = { readonly [Q in QueueName]?: JobHandler<Q> };

export interface Observed {
  readonly queue: QueueName;
  readonly waitMs: number;
  readonly runMs: number;
  readonly outcome: JobOutcome;
}

/** One test's queues and hosts. Each test has its own `pool`, so that tests do not see each other's jobs. */
export class QueueHarness {
  readonly pool = `pool-${randomBytes(4).toString('hex')}`;
  readonly logLines: string[] = [];
  readonly log: Logger = pino({ level: 'debug' }, { write: (line: string) => void this.logLines.push(line) });
  readonly observed: Observed[] = [];
  private readonly opened: Queues[] = [];
  private readonly hosts: WorkerHost[] = [];

  connect(address: BackendAddress): Queues {
    const queues = connectQueues({ backend: address, log: this.log });
    this.opened.push(queues);
    return queues;
  }

  /** Consumes the queues that have a handler, each with `slots`. */
  startHost(
    queues: Queues,
    handlers: Handlers,
    slots = 4,
    more: Partial<Parameters<typeof startWorkerHost>[0]> = {},
  ): WorkerHost {
    const concurrency = Object.fromEntries(Object.keys(handlers).map((queue) => [queue, slots]));
    const host = startWorkerHost<QueueName>({
      queues,
      lane: this.pool,
      concurrency: concurrency as Record<QueueName, number>,
      handlers: handlers as Required<Handlers>,
      log: this.log,
      metrics: { observe: (queue, run) => this.observed.push({ queue, ...run }) },
      ...more,
    });
    this.hosts.push(host);
    return host;
  }

  async close(): Promise<void> {
    await Promise.all(this.hosts.map((host) => host.drain(0)));
    await Promise.all(this.opened.map((queues) => queues.close()));
  }
}

/** Waits until `condition` returns true. The error names the condition. */
export async function eventually(
  name: string,
  ms: number,
  condition: () => boolean | Promise<boolean>,
): Promise<void> {
  const until = performance.now() + ms;
  while (!(await condition())) {
    if (performance.now() > until) throw new Error(`not within ${ms} ms: ${name}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Checks that every call throws `Unavailable` in time. */
export async function expectUnavailable(queues: Queues, pool: string): Promise<void> {
  const payload = { batchId: createId('batch'), chunk: 0, generation: 1 };
  const calls = [
    () => queues.ping(),
    () => queues.add('batch', pool, [{ payload }]),
    () => queues.findMissing('batch', pool, [buildJobId('batch', payload)]),
    () => queues.getCounts('batch', pool),
  ];
  for (const call of calls) {
    const calledAt = performance.now();
    await expect(call()).rejects.toThrow(Unavailable);
    expect(performance.now() - calledAt).toBeLessThan(10_000);
  }
}

/** Resolves when the signal is aborted, with the reason of the `JobInterrupted`. */
export async function waitForInterruption(signal: AbortSignal): Promise<string> {
  await waitForAbort(signal);
  return (signal.reason as Partial<JobInterrupted>).reason ?? 'unknown';
}
