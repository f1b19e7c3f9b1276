/** What the conformance tests hold: a backend they may break, and queues and hosts that are closed after each. */
import { randomBytes } from 'node:crypto';
import { pino, type Logger } from 'pino';
import {
  connectQueues,
  startWorkerHost,
  type BackendAddress,
  type Handler,
  type JobOutcome,
  type QueueName,
  type Queues,
  type WorkerHost,
} from '#queues';

export interface BackendUnderTest {
  /** Through a proxy, so that the network can be taken away. */
  readonly address: BackendAddress;
  /** The same without the proxy. */
  readonly direct: BackendAddress;
  /** A job as another program would put it there, by its queue's physical name. */
  addForeign(physicalQueue: string, jobId: string, data: unknown): Promise<void>;
  /** All that the backend holds, as text. */
  dump(): Promise<string>;
  /** Loses every job. */
  empty(): Promise<void>;
  /** Down for so long, with nothing acknowledged lost. */
  restart(downMs: number, meanwhile: () => Promise<void>): Promise<void>;
  dropPackets(): void;
  passNewConnections(): void;
  close(): Promise<void>;
}

type Handlers = { readonly [Q in QueueName]?: Handler<Q> };

export interface Observed {
  readonly queue: QueueName;
  readonly waitMs: number;
  readonly runMs: number;
  readonly outcome: JobOutcome;
}

/** One test's queues and hosts; `pool` is a name of its own, so that tests don't see each other's jobs. */
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

  /** Serves the queues that have a handler, each with `slots`. */
  startHost(
    queues: Queues,
    handlers: Handlers,
    slots = 4,
    more: Partial<Parameters<typeof startWorkerHost>[0]> = {},
  ): WorkerHost {
    const concurrency = Object.fromEntries(Object.keys(handlers).map((queue) => [queue, slots]));
    const host = startWorkerHost<QueueName>({
      queues,
      pool: this.pool,
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

/** Waits until `holds` is true; the message names what did not come true. */
export async function eventually(
  what: string,
  ms: number,
  holds: () => boolean | Promise<boolean>,
): Promise<void> {
  const until = performance.now() + ms;
  while (!(await holds())) {
    if (performance.now() > until) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Resolves when the signal is aborted, with its reason's word. */
export function waitForInterruption(signal: AbortSignal): Promise<string> {
  const why = (): string => (signal.reason as { why?: string }).why ?? 'unknown';
  if (signal.aborted) return Promise.resolve(why());
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(why()), { once: true }));
}
