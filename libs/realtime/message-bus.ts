/** The bus on any transport: coalesces updates, numbers streams, validates messages, and reports dropped messages. */
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

/** m: a message. missed: the publisher could not send some messages of this channel while it was disconnected. */
type Envelope = { m: unknown } | { missed: true };

const updateWindowMs = 100;
/** The most channels for which dropped messages are reported. Subscribers of others notice at their next reconnect. */
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
        (_, value) => void this.send(toUpdateChannel(topic), value, false),
      );
      this.coalescers.set(topic, coalescer);
    }
    coalescer.push((updates[topic].getSubject as (update: Update<T>) => string)(payload), payload);
  }

  subscribeUpdates<T extends UpdateTopic>(
    topic: T,
    onUpdate: (payload: Update<T>) => void,
  ): Promise<Unsubscribe> {
    return this.addSubscriber(toUpdateChannel(topic), {
      onMessage: (body) => onUpdate(updates[topic].payload.parse(body) as Update<T>),
      onMissed: () => {},
    });
  }

  publish<T extends MessageTopic>(topic: T, payload: Message<T>): Promise<boolean> {
    return this.send(toMessageChannel(topic), payload, true);
  }

  subscribe<T extends MessageTopic>(
    topic: T,
    onMessage: (payload: Message<T>) => void,
    onResync: () => void,
  ): Promise<Unsubscribe> {
    return this.addSubscriber(toMessageChannel(topic), {
      onMessage: (body) => onMessage(messages[topic].parse(body) as Message<T>),
      onMissed: onResync,
    });
  }

  openStream(subject: string, attempt: number): StreamWriter {
    return createStreamWriter(attempt, (message) => void this.send(toStreamChannel(subject), message, true));
  }

  subscribeStream(subject: string, onItem: (item: StreamItem) => void): Promise<Unsubscribe> {
    const reader = new StreamReader(onItem);
    return this.addSubscriber(toStreamChannel(subject), {
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

  /**
   * Never rejects.
   * @param reportsLoss whether subscribers are informed later when the message could not be sent.
   * @returns whether the backend accepted the message.
   */
  private async send(channel: string, body: unknown, reportsLoss: boolean): Promise<boolean> {
    try {
      const json = JSON.stringify({ m: body } satisfies Envelope);
      const bytes = Buffer.byteLength(json);
      if (bytes > maxMessageBytes)
        throw new RangeError(`a message of ${bytes} bytes: send a reference instead`);
      await this.transport.publish(channel, json);
      // Messages that a full backlog rejected are reported as soon as a message is accepted again.
      if (this.missedChannels.size > 0 && performance.now() - this.missedPublishedAt > missedIntervalMs)
        this.publishMissed();
      return true;
    } catch (error) {
      // The transport logs an outage once. Any other error is a mistake of the caller.
      if (!(error instanceof Unavailable)) this.log.error({ err: error, channel }, 'bus: message not sent');
      if (reportsLoss && this.missedChannels.size < maxMissedChannels) this.missedChannels.add(channel);
      return false;
    }
  }

  private publishMissed(): void {
    this.missedPublishedAt = performance.now();
    for (const channel of [...this.missedChannels]) {
      this.missedChannels.delete(channel);
      const published = this.transport.publish(channel, JSON.stringify({ missed: true } satisfies Envelope));
      published.catch(() => this.missedChannels.add(channel));
    }
  }

  private async addSubscriber(channel: string, subscriber: Subscriber): Promise<Unsubscribe> {
    const subscribers = this.subscribers.get(channel);
    if (subscribers) subscribers.add(subscriber);
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
    const subscribers = this.subscribers.get(channel);
    if (!subscribers?.delete(subscriber) || subscribers.size > 0) return;
    this.subscribers.delete(channel);
    await this.transport.unsubscribe(channel);
  }

  private dispatch(channel: string, envelope: Envelope): void {
    for (const subscriber of this.subscribers.get(channel) ?? []) {
      try {
        if ('missed' in envelope) subscriber.onMissed();
        else subscriber.onMessage(envelope.m);
      } catch (error) {
        // An error of one subscriber, or a message of another release, must not stop the other subscribers.
        this.log.error({ err: error, channel }, 'bus: a subscriber failed');
      }
    }
  }
}

const toMessageChannel = (topic: MessageTopic) => `message:${topic}`;
const toUpdateChannel = (topic: UpdateTopic) => `update:${topic}`;
const toStreamChannel = (subject: string) => `stream:${subject}`;
