/** The bus on any transport: coalesces signals, numbers streams, checks what comes in, and tells of losses. */
import { Unavailable } from '#domain';
import type { Logger } from '#telemetry';
import type { Bus, StreamItem, StreamWriter, Unsubscribe } from './bus.ts';
import { Coalescer } from './coalescer.ts';
import { StreamReader, createStreamWriter, type StreamMessage } from './streams.ts';
import {
  messages,
  updates,
  type Message,
  type MessageTopic,
  type Update,
  type UpdateTopic,
} from './topics.ts';
import { maxMessageBytes, type Transport } from './transport.ts';

interface Subscriber {
  onMessage(body: unknown): void;
  onMissed(): void;
}

/** m: a message; missed: its speaker could not send some, and says so now that it can. */
type Envelope = { m: unknown } | { missed: true };

const updateWindowMs = 100;
/** Channels whose listeners are owed word of a loss; beyond these a loss shows at the next reconnect only. */
const maxMissedChannels = 10_000;
const missedIntervalMs = 100;

export class MessageBus implements Bus {
  private readonly subscribers = new Map<string, Set<Subscriber>>();
  private readonly missedChannels = new Set<string>();
  private missedPublishedAt = 0;
  private readonly coalescers = new Map<UpdateTopic, Coalescer<unknown>>();

  constructor(
    private readonly transport: Transport,
    private readonly log: Logger,
  ) {}

  start(): Promise<void> {
    return this.transport.start({
      onMessage: (channel, value) => this.dispatch(channel, value as Envelope),
      onSubscriptionsRestored: () => {
        for (const channel of [...this.subscribers.keys()]) this.dispatch(channel, { missed: true });
      },
      onPublisherRestored: () => this.publishMissed(),
    });
  }

  publishUpdate<T extends UpdateTopic>(topic: T, payload: Update<T>): void {
    let coalescer = this.coalescers.get(topic);
    if (!coalescer) {
      coalescer = new Coalescer(
        updateWindowMs,
        (_, value) => void this.send(`signal:${topic}`, value, false),
      );
      this.coalescers.set(topic, coalescer);
    }
    coalescer.push((updates[topic].subject as (signal: Update<T>) => string)(payload), payload);
  }

  subscribeUpdates<T extends UpdateTopic>(topic: T, on: (payload: Update<T>) => void): Promise<Unsubscribe> {
    return this.addSubscriber(`signal:${topic}`, {
      onMessage: (body) => on(updates[topic].payload.parse(body) as Update<T>),
      onMissed: () => {},
    });
  }

  publish<T extends MessageTopic>(topic: T, payload: Message<T>): Promise<boolean> {
    return this.send(`announce:${topic}`, payload, true);
  }

  subscribe<T extends MessageTopic>(
    topic: T,
    on: (payload: Message<T>) => void,
    resync: () => void,
  ): Promise<Unsubscribe> {
    return this.addSubscriber(`announce:${topic}`, {
      onMessage: (body) => on(messages[topic].parse(body) as Message<T>),
      onMissed: resync,
    });
  }

  openStream(subject: string, attempt: number): StreamWriter {
    return createStreamWriter(attempt, (message) => void this.send(`stream:${subject}`, message, true));
  }

  subscribeStream(subject: string, on: (item: StreamItem) => void): Promise<Unsubscribe> {
    const reader = new StreamReader(on);
    return this.addSubscriber(`stream:${subject}`, {
      onMessage: (body) => reader.read(body as StreamMessage),
      onMissed: () => reader.onMissed(),
    });
  }

  ping(): Promise<void> {
    return this.transport.ping();
  }

  async close(): Promise<void> {
    for (const coalescer of this.coalescers.values()) coalescer.flush();
    await this.transport.close();
    this.subscribers.clear();
  }

  /** Never rejects. @returns whether the backend took it. */
  private async send(channel: string, body: unknown, owed: boolean): Promise<boolean> {
    try {
      const json = JSON.stringify({ m: body } satisfies Envelope);
      const bytes = Buffer.byteLength(json);
      if (bytes > maxMessageBytes)
        throw new RangeError(`a message of ${bytes} bytes: send a reference instead`);
      await this.transport.publish(channel, json);
      // What was refused for another reason than an outage (a backlog) is told of as soon as something goes again.
      if (this.missedChannels.size > 0 && performance.now() - this.missedPublishedAt > missedIntervalMs)
        this.publishMissed();
      return true;
    } catch (error) {
      // That the backend is away was logged once, by the transport; what is left is a mistake of the caller's.
      if (!(error instanceof Unavailable)) this.log.error({ err: error, channel }, 'bus: message not sent');
      if (owed && this.missedChannels.size < maxMissedChannels) this.missedChannels.add(channel);
      return false;
    }
  }

  private publishMissed(): void {
    this.missedPublishedAt = performance.now();
    for (const channel of [...this.missedChannels]) {
      this.missedChannels.delete(channel);
      const told = this.transport.publish(channel, JSON.stringify({ missed: true } satisfies Envelope));
      told.catch(() => this.missedChannels.add(channel));
    }
  }

  private async addSubscriber(channel: string, subscriber: Subscriber): Promise<Unsubscribe> {
    const present = this.subscribers.get(channel);
    if (present) present.add(subscriber);
    else this.subscribers.set(channel, new Set([subscriber]));
    try {
      await this.transport.subscribe(channel);
    } catch (error) {
      await this.removeSubscriber(channel, subscriber);
      throw error;
    }
    return () => this.removeSubscriber(channel, subscriber);
  }

  private async removeSubscriber(channel: string, subscriber: Subscriber): Promise<void> {
    const present = this.subscribers.get(channel);
    if (!present?.delete(subscriber) || present.size > 0) return;
    this.subscribers.delete(channel);
    await this.transport.unsubscribe(channel);
  }

  private dispatch(channel: string, envelope: Envelope): void {
    for (const subscriber of this.subscribers.get(channel) ?? []) {
      try {
        if ('missed' in envelope) subscriber.onMissed();
        else subscriber.onMessage(envelope.m);
      } catch (error) {
        // One listener's mistake, or a message of another release, must not stop the others' traffic.
        this.log.error({ err: error, channel }, 'bus: a listener failed');
      }
    }
  }
}
