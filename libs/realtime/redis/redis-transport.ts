/** The bus on Redis: pub/sub, on one connection that publishes and one that subscribes. */
import { Redis, ReplyError } from 'ioredis';
import {
  busUnavailable,
  answerInTime,
  reconnectDelayMs,
  startHeartbeat,
  type Transport,
  type TransportEvents,
  type TransportOptions,
} from '../transport.ts';

/** Redis has one space of channels for all its databases and whoever else uses it. */
const channelPrefix = 'millrace:';
/** Beyond this the server does not keep up, and what comes is refused rather than kept in memory. */
const maxBacklogBytes = 16 * 1024 * 1024;

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
      const ask = async () => connection.status === 'ready' && (await connection.ping());
      this.stopHeartbeats.push(
        startHeartbeat(this.options.heartbeatMs, ask, () => connection.disconnect(true)),
      );
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
      const listening = await this.subscriber.subscribe(channelPrefix + channel).catch((error: unknown) => {
        // A connection that dies subscribes again when it is back (and may still call itself ready); what the
        // server itself refuses is the caller's.
        if (error instanceof ReplyError) throw error;
      });
      if (listening !== undefined) return;
    }
    await new Promise<void>((resolve, reject) => this.awaitingConnection.add({ resolve, reject }));
  }

  async unsubscribe(channel: string): Promise<void> {
    if (!this.subscribed.delete(channel) || this.subscriber.status !== 'ready') return;
    // When the connection is gone, so is what it was subscribed to.
    await this.subscriber.unsubscribe(channelPrefix + channel).catch(() => {});
  }

  async ping(): Promise<void> {
    await answerInTime(5_000, Promise.all([this.publisher.ping(), this.subscriber.ping()])).catch(
      (error: unknown) => {
        throw busUnavailable(error);
      },
    );
  }

  async close(): Promise<void> {
    this.closed = true;
    for (const stop of this.stopHeartbeats) stop();
    for (const waiter of this.awaitingConnection) waiter.reject(busUnavailable());
    this.awaitingConnection.clear();
    if (this.publisher.status === 'ready') await answerInTime(5_000, this.publisher.quit()).catch(() => {});
    for (const connection of [this.publisher, this.subscriber]) {
      // On one that has ended already, ioredis would start a timer that keeps the process alive.
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
      // Nothing waits for a reconnect and nothing is sent twice: who publishes is told at once, and the listeners later.
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      autoResubscribe: false,
      retryStrategy: (tries) => (this.closed ? null : reconnectDelayMs(tries - 1)),
    });
    let down = false;
    connection.on('ready', () => {
      if (down) log.info({ role }, 'bus: connected again');
      down = false;
    });
    connection.on('close', () => {
      if (!down && !this.closed) log.warn({ role }, 'bus: connection lost');
      down = true;
    });
    // Every failed try says so; the first is logged above.
    connection.on('error', () => {});
    return connection;
  }

  private async resubscribe(): Promise<void> {
    const waiters = [...this.awaitingConnection];
    try {
      if (this.subscribed.size > 0)
        await this.subscriber.subscribe(...[...this.subscribed].map((name) => channelPrefix + name));
    } catch {
      // The next `ready` tries again; a subscriber that is ready but refuses is ended to get there.
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
      this.options.log.error({ err: error, channel }, 'bus: a message that is none of ours');
    }
  }
}
