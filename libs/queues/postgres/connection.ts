/**
 * BullMQ's connection to Postgres, with three changes: the pool and the LISTEN connection are the process's
 * and shared; a failed first contact is tried again (BullMQ remembers its rejection for good); and a wait
 * for work is never longer than a poll.
 */
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { assertSchemaCompatibility, PostgresConnection, PostgresQueueBackend } from 'bullmq';
import pg from 'pg';

type ListenClient = Awaited<ReturnType<PostgresConnection['getListenClient']>>;

/** `end` waits for the server's good-bye, which a dead network never brings. */
export function destroySocket(client: pg.ClientBase): void {
  (client as unknown as { connection: { stream: Socket } }).connection.stream.destroy();
}

/**
 * Workers share the LISTEN connection, and `pg` wants one query at a time on it; BullMQ's own listeners come
 * and go with each wait.
 */
function serializeQueries(client: pg.Client): ListenClient {
  let last: Promise<unknown> = Promise.resolve();
  const shared = {
    query(text: string, params?: unknown[]) {
      const next = last.then(() => client.query(text, params));
      last = next.catch(() => undefined);
      return next;
    },
    on(event: 'notification', listener: () => void) {
      client.on(event, listener);
      return shared;
    },
    removeListener(event: 'notification', listener: () => void) {
      client.removeListener(event, listener);
      return shared;
    },
  };
  return shared as unknown as ListenClient;
}

/** One LISTEN connection for all workers of the process; emits `lost` when it breaks, and opens anew when asked. */
export class ListenConnection extends EventEmitter<{ lost: [] }> {
  private readonly config: pg.ClientConfig;
  private readonly complain: (error: unknown) => void;
  private opening: Promise<ListenClient> | undefined;
  private listening: pg.Client | undefined;
  private closed = false;

  constructor(config: pg.ClientConfig, complain: (error: unknown) => void) {
    super();
    this.config = config;
    this.complain = complain;
    this.setMaxListeners(0);
  }

  getClient(): Promise<ListenClient> {
    if (this.closed) return Promise.reject(new Error('the queues are closed'));
    this.opening ??= this.open();
    return this.opening;
  }

  private open(): Promise<ListenClient> {
    const client = new pg.Client({ ...this.config, connectionTimeoutMillis: 3_000, query_timeout: 10_000 });
    client.setMaxListeners(0);
    this.listening = client;
    const opening = client.connect().then(() => serializeQueries(client));
    const drop = (): void => {
      if (this.opening !== opening) return;
      this.opening = undefined;
      destroySocket(client);
      this.emit('lost');
    };
    client.on('error', (error) => {
      this.complain(error);
      drop();
    });
    client.on('end', drop);
    opening.catch(drop);
    return opening;
  }

  async close(): Promise<void> {
    this.closed = true;
    this.opening = undefined;
    const client = this.listening;
    if (!client) return;
    await Promise.race([client.end().catch(() => undefined), sleep(500, undefined, { ref: false })]);
    destroySocket(client);
  }
}

export class SharedPoolConnection extends PostgresConnection {
  override readonly schema: string;
  private readonly listener: ListenConnection;
  private readonly forwardLoss = (): boolean => this.emit('listenerinvalidated');
  private readonly onPool: pg.Pool;
  private readonly ofBullMq: ((error: Error) => void)[];
  private checked: Promise<void> | undefined;

  constructor(pool: pg.Pool, schema: string, listener: ListenConnection) {
    const before = pool.listeners('error');
    super(pool);
    this.onPool = pool;
    this.ofBullMq = pool.listeners('error').filter((added) => !before.includes(added)) as never;
    this.schema = schema;
    this.listener = listener;
    listener.on('lost', this.forwardLoss);
  }

  override waitUntilReady(): Promise<void> {
    this.checked ??= this.check().catch((error: unknown) => {
      this.checked = undefined;
      throw error;
    });
    return this.checked;
  }

  private async check(): Promise<void> {
    await assertSchemaCompatibility(this.pool, this.schema);
    setTimeout(() => this.emit('ready'), 0);
  }

  override getListenClient(): Promise<ListenClient> {
    return this.listener.getClient();
  }

  /** Leaves the shared pool and LISTEN connection to whoever opened them. */
  override close(): Promise<void> {
    this.listener.off('lost', this.forwardLoss);
    for (const forward of this.ofBullMq) this.onPool.off('error', forward);
    return super.close();
  }
}

/**
 * A worker that could not LISTEN for a moment would otherwise wait for the next notification for up to an
 * hour, beside jobs that were announced meanwhile.
 */
export class PollingBackend extends PostgresQueueBackend {
  override get maximumBlockTimeout(): number {
    return 5;
  }
}
