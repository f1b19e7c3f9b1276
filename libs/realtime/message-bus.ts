/** The bus on any transport: coalesces signals, numbers streams, checks what comes in, and tells of losses. */
import { Unavailable } from '#domain';
import type { Logger } from '#telemetry';
import type { Bus, StreamItem, StreamWriter, Unsubscribe } from './bus.ts';
import { Coalescer } from './coalescer.ts';
import { StreamReader, streamWriter, type StreamMessage } from './streams.ts';
import {
  announcements,
  signals,
  type Announcement,
  type AnnouncementTopic,
  type Signal,
  type SignalTopic,
} from './topics.ts';
import { messageLimit, type Transport } from './transport.ts';

interface Subscriber {
  on(body: unknown): void;
  missed(): void;
}

/** m: a message; missed: its speaker could not send some, and says so now that it can. */
type Envelope = { m: unknown } | { missed: true };

const signalWindowMs = 100;
/** Channels whose listeners are owed word of a loss; beyond these a loss shows at the next reconnect only. */
const missedLimit = 10_000;
const tellEveryMs = 100;

export class MessageBus implements Bus {
  private readonly subscribers = new Map<string, Set<Subscriber>>();
  private readonly missed = new Set<string>();
  private toldAt = 0;
  private readonly coalescers = new Map<SignalTopic, Coalescer<unknown>>();

  constructor(
    private readonly transport: Transport,
    private readonly log: Logger,
  ) {}

  start(): Promise<void> {
    return this.transport.start({
      message: (channel, value) => this.dispatch(channel, value as Envelope),
      listening: () => {
        for (const channel of [...this.subscribers.keys()]) this.dispatch(channel, { missed: true });
      },
      publishing: () => this.tellMissed(),
    });
  }

  signal<T extends SignalTopic>(topic: T, payload: Signal<T>): void {
    let coalescer = this.coalescers.get(topic);
    if (!coalescer) {
      coalescer = new Coalescer(
        signalWindowMs,
        (_, value) => void this.send(`signal:${topic}`, value, false),
      );
      this.coalescers.set(topic, coalescer);
    }
    coalescer.put((signals[topic].subject as (signal: Signal<T>) => string)(payload), payload);
  }

  subscribeSignal<T extends SignalTopic>(topic: T, on: (payload: Signal<T>) => void): Promise<Unsubscribe> {
    return this.attach(`signal:${topic}`, {
      on: (body) => on(signals[topic].payload.parse(body) as Signal<T>),
      missed: () => {},
    });
  }

  announce<T extends AnnouncementTopic>(topic: T, payload: Announcement<T>): Promise<boolean> {
    return this.send(`announce:${topic}`, payload, true);
  }

  subscribe<T extends AnnouncementTopic>(
    topic: T,
    on: (payload: Announcement<T>) => void,
    resync: () => void,
  ): Promise<Unsubscribe> {
    return this.attach(`announce:${topic}`, {
      on: (body) => on(announcements[topic].parse(body) as Announcement<T>),
      missed: resync,
    });
  }

  openStream(subject: string, attempt: number): StreamWriter {
    return streamWriter(attempt, (message) => void this.send(`stream:${subject}`, message, true));
  }

  subscribeStream(subject: string, on: (item: StreamItem) => void): Promise<Unsubscribe> {
    const reader = new StreamReader(on);
    return this.attach(`stream:${subject}`, {
      on: (body) => reader.read(body as StreamMessage),
      missed: () => reader.missed(),
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
      if (bytes > messageLimit) throw new RangeError(`a message of ${bytes} bytes: send a reference instead`);
      await this.transport.publish(channel, json);
      // What was refused for another reason than an outage (a backlog) is told of as soon as something goes again.
      if (this.missed.size > 0 && performance.now() - this.toldAt > tellEveryMs) this.tellMissed();
      return true;
    } catch (error) {
      // That the backend is away was logged once, by the transport; what is left is a mistake of the caller's.
      if (!(error instanceof Unavailable)) this.log.error({ err: error, channel }, 'bus: message not sent');
      if (owed && this.missed.size < missedLimit) this.missed.add(channel);
      return false;
    }
  }

  private tellMissed(): void {
    this.toldAt = performance.now();
    for (const channel of [...this.missed]) {
      this.missed.delete(channel);
      const told = this.transport.publish(channel, JSON.stringify({ missed: true } satisfies Envelope));
      told.catch(() => this.missed.add(channel));
    }
  }

  private async attach(channel: string, subscriber: Subscriber): Promise<Unsubscribe> {
    const present = this.subscribers.get(channel);
    if (present) present.add(subscriber);
    else this.subscribers.set(channel, new Set([subscriber]));
    try {
      await this.transport.listen(channel);
    } catch (error) {
      await this.detach(channel, subscriber);
      throw error;
    }
    return () => this.detach(channel, subscriber);
  }

  private async detach(channel: string, subscriber: Subscriber): Promise<void> {
    const present = this.subscribers.get(channel);
    if (!present?.delete(subscriber) || present.size > 0) return;
    this.subscribers.delete(channel);
    await this.transport.unlisten(channel);
  }

  private dispatch(channel: string, envelope: Envelope): void {
    for (const subscriber of this.subscribers.get(channel) ?? []) {
      try {
        if ('missed' in envelope) subscriber.missed();
        else subscriber.on(envelope.m);
      } catch (error) {
        // One listener's mistake, or a message of another release, must not stop the others' traffic.
        this.log.error({ err: error, channel }, 'bus: a listener failed');
      }
    }
  }
}
