/**
 * BullMQ's connection to Postgres, with three changes: all queues of a process share one pool and one LISTEN
 * connection; a failed first connection is retried (BullMQ keeps its rejection forever); and a worker waits for a
 * notification no longer than one poll interval.
 */
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { assertSchemaCompatibility, PostgresConnection, PostgresQueueBackend } from 'bullmq';
import pg from 'pg';
import { waitAtMost } from '#async';

type ListenClient = Awaited<ReturnType<PostgresConnection['getListenClient']>>;

/** `client.end()` waits for the server's answer, which never arrives over a dead network. */
export function destroySocket(client: pg.ClientBase): void {
  (client as unknown as { connection: { stream: Socket } }).connection.stream.destroy();
}

/**
 * Runs queries one after the other: workers share the LISTEN connection, each wait for a job adds and removes a
 * listener on it, and `pg` accepts one query at a time.
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

/** One LISTEN connection for all workers of the process. Emits `disconnected`; the next `getClient` connects again. */
export class ListenConnection extends EventEmitter<{ disconnected: [] }> {
  private readonly config: pg.ClientConfig;
  private readonly logError: (error: unknown) => void;
  private opening: Promise<ListenClient> | undefined;
  private current: pg.Client | undefined;
  private closed = false;

  constructor(config: pg.ClientConfig, logError: (error: unknown) => void) {
    super();
    this.config = config;
    this.logError = logError;
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
    this.current = client;
    const opening = client.connect().then(() => serializeQueries(client));
    const drop = (): void => {
      if (this.opening !== opening) return;
      this.opening = undefined;
      destroySocket(client);
      this.emit('disconnected');
    };
    client.on('error', (error) => {
      this.logError(error);
      drop();
    });
    client.on('end', drop);
    opening.catch(drop);
    return opening;
  }

  async close(): Promise<void> {
    this.closed = true;
    this.opening = undefined;
    const client = this.current;
    if (!client) return;
    await waitAtMost(500, client.end());
    destroySocket(client);
  }
}

export class SharedPoolConnection extends PostgresConnection {
  override readonly schema: string;
  private readonly listener: ListenConnection;
  private readonly forwardDisconnect = (): boolean => this.emit('listenerinvalidated');
  private readonly sharedPool: pg.Pool;
  private readonly bullMqListeners: ((error: Error) => void)[];
  private checked: Promise<void> | undefined;

  constructor(pool: pg.Pool, schema: string, listener: ListenConnection) {
    const before = pool.listeners('error');
    super(pool);
    this.sharedPool = pool;
    this.bullMqListeners = pool.listeners('error').filter((added) => !before.includes(added)) as never;
    this.schema = schema;
    this.listener = listener;
    listener.on('disconnected', this.forwardDisconnect);
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

  /** Leaves the pool and the LISTEN connection open: the backend that opened them closes them. */
  override close(): Promise<void> {
    this.listener.off('disconnected', this.forwardDisconnect);
    for (const listener of this.bullMqListeners) this.sharedPool.off('error', listener);
    return super.close();
  }
}

/**
 * Limits the wait for a notification to 5 s. A worker whose LISTEN failed for a moment would otherwise wait up to an
 * hour, although jobs were added in the meantime.
 */
export class PollingBackend extends PostgresQueueBackend {
  override get maximumBlockTimeout(): number {
    return 5;
  }
}
