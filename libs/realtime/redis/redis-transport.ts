/** The bus on Redis: pub/sub, with one connection to publish and one to subscribe. */
import { Redis, ReplyError } from 'ioredis';
import { waitAtMost, withTimeout } from '#async';
import {
  busUnavailable,
  getReconnectDelayMs,
  startHeartbeat,
  type Transport,
  type TransportEvents,
  type TransportOptions,
} from '../transport.ts';

/** Channels are shared by all databases and all users of a Redis server. */
const channelPrefix = 'millrace:';
/** With a larger backlog the server does not keep up: messages are rejected instead of held in memory. */
const maxBacklogBytes = 16 * 1024 * 1024;
const pingMs = 5_000;
const closeMs = 5_000;

export class RedisTransport implements Transport {
  private readonly publisher: Redis;
  private readonly subscriber: Redis;
  private events: TransportEvents;
  private closed = false;
  private readonly stopHeartbeats: (() => void)[] = [];
  private readonly subscribed = new Set<string>();
  private readonly awaitingConnection = new Set<{ resolve: () => void; reject: (error: unknown) => void }>();
  private backlogBytes = 0;

  constructor(private readonly options: TransportOptions) {
    this.publisher = this.createConnection('publisher');
    this.subscriber = this.createConnection('subscriber');
  }

  async start(events: TransportEvents): Promise<void> {
    this.events = events;
    this.subscriber.on('message', (channel, text) => this.receive(channel.slice(channelPrefix.length), text));
    try {
      await Promise.all([this.publisher.connect(), this.subscriber.connect()]);
    } catch (error) {
      await this.close();
      throw busUnavailable(error);
    }
    this.publisher.on('ready', () => this.events.onPublisherRestored());
    this.subscriber.on('ready', () => void this.resubscribe());
    for (const connection of [this.publisher, this.subscriber]) {
      const check = async () => connection.status === 'ready' && (await connection.ping());
      const reconnect = () => connection.disconnect(true);
      this.stopHeartbeats.push(startHeartbeat(this.options.heartbeatMs, check, reconnect));
    }
  }

  async publish(channel: string, json: string): Promise<void> {
    if (this.closed || this.publisher.status !== 'ready' || this.backlogBytes > maxBacklogBytes)
      throw busUnavailable();
    this.backlogBytes += json.length;
    try {
      await this.publisher.publish(channelPrefix + channel, json);
    } catch (error) {
      throw busUnavailable(error);
    } finally {
      this.backlogBytes -= json.length;
    }
  }

  async subscribe(channel: string): Promise<void> {
    if (this.closed) throw busUnavailable();
    this.subscribed.add(channel);
    if (this.subscriber.status === 'ready') {
      const count = await this.subscriber.subscribe(channelPrefix + channel).catch((error: unknown) => {
        // A connection that breaks here subscribes again after its reconnect, although its status may still be
        // 'ready'. An error reply of the server is passed to the caller.
        if (error instanceof ReplyError) throw error;
      });
      if (count !== undefined) return;
    }
    await new Promise<void>((resolve, reject) => this.awaitingConnection.add({ resolve, reject }));
  }

  async unsubscribe(channel: string): Promise<void> {
    if (!this.subscribed.delete(channel) || this.subscriber.status !== 'ready') return;
    // When the connection is closed, its subscriptions are gone too.
    await this.subscriber.unsubscribe(channelPrefix + channel).catch(() => {});
  }

  async ping(): Promise<void> {
    const pings = Promise.all([this.publisher.ping(), this.subscriber.ping()]);
    await withTimeout(pings, pingMs).catch((error: unknown) => {
      throw busUnavailable(error);
    });
  }

  async close(): Promise<void> {
    this.closed = true;
    for (const stop of this.stopHeartbeats) stop();
    for (const waiter of this.awaitingConnection) waiter.reject(busUnavailable());
    this.awaitingConnection.clear();
    if (this.publisher.status === 'ready') await waitAtMost(closeMs, this.publisher.quit());
    for (const connection of [this.publisher, this.subscriber]) {
      // On a connection that has ended, ioredis would start a timer that keeps the process alive.
      if (connection.status !== 'end') connection.disconnect();
    }
  }

  private createConnection(role: 'publisher' | 'subscriber'): Redis {
    const { url, name, log } = this.options;
    const connection = new Redis(url, {
      connectionName: `${name}-${role}`,
      lazyConnect: true,
      connectTimeout: 5_000,
      keepAlive: 10_000,
      // No command waits for a reconnect or is sent twice: publish rejects at once, and subscribers get a resync later.
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      autoResubscribe: false,
      retryStrategy: (attempts) => (this.closed ? null : getReconnectDelayMs(attempts - 1)),
    });
    let isDown = false;
    connection.on('ready', () => {
      if (isDown) log.info({ role }, 'bus: reconnected');
      isDown = false;
    });
    connection.on('close', () => {
      if (!isDown && !this.closed) log.warn({ role }, 'bus: disconnected');
      isDown = true;
    });
    // Every failed attempt emits an error. The first is logged above.
    connection.on('error', () => {});
    return connection;
  }

  private async resubscribe(): Promise<void> {
    const waiters = [...this.awaitingConnection];
    try {
      if (this.subscribed.size > 0)
        await this.subscriber.subscribe(...[...this.subscribed].map((name) => channelPrefix + name));
    } catch {
      // The next `ready` retries. A connection that is ready but fails to subscribe is closed, so that it reconnects.
      if (this.subscriber.status === 'ready') this.subscriber.disconnect(true);
      return;
    }
    for (const waiter of waiters) {
      this.awaitingConnection.delete(waiter);
      waiter.resolve();
    }
    this.events.onSubscriptionsRestored();
  }

  private receive(channel: string, text: string): void {
    try {
      this.events.onMessage(channel, JSON.parse(text));
    } catch (error) {
      this.options.log.error({ err: error, channel }, 'bus: invalid message');
    }
  }
}
