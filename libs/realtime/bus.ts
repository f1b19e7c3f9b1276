/**
 * The message bus between processes, with three kinds of traffic: messages, updates and streams. Delivery is best
 * effort. Events are rows in Postgres, and everything that is missed here can be read there.
 */
import type { Message, MessageTopic, Update, UpdateTopic } from './topics.ts';

/** Ends a subscription. No handler runs after the call. It resolves when the backend has unsubscribed. */
export type Unsubscribe = () => Promise<void>;

/** An item that a stream's reader receives, in the order in which the writer sent it. */
export type StreamItem =
  | { kind: 'delta'; attempt: number; number: number; delta: unknown }
  /** Deltas `from` to `to` of this attempt did not arrive: read them from the worker's buffer or the stored result. */
  | { kind: 'gap'; attempt: number; from: number; to: number }
  /** Deltas after `after` may have been missed, and no later item may arrive to show it. */
  | { kind: 'resync'; attempt: number; after: number }
  | { kind: 'end'; attempt: number; last: number };

/** Writes the deltas of one attempt, numbered from 1. Never throws: a delta that cannot be sent becomes a gap. */
export interface StreamWriter {
  /** @param delta any JSON value. @returns its number. */
  send(delta: unknown): number;
  end(): void;
}

export interface Bus {
  /**
   * Updates are coalesced per subject to about ten a second; the last one is always sent. They are dropped while the bus
   * is down.
   */
  publishUpdate<T extends UpdateTopic>(topic: T, payload: Update<T>): void;
  subscribeUpdates<T extends UpdateTopic>(
    topic: T,
    onUpdate: (payload: Update<T>) => void,
  ): Promise<Unsubscribe>;

  /** Delivers at most once. @returns whether the backend accepted it. If not, subscribers get a resync later. */
  publish<T extends MessageTopic>(topic: T, payload: Message<T>): Promise<boolean>;
  /**
   * @param onResync called when a message may have been missed, because this process or the publisher lost its
   * connection: read the state from Postgres again.
   */
  subscribe<T extends MessageTopic>(
    topic: T,
    onMessage: (payload: Message<T>) => void,
    onResync: () => void,
  ): Promise<Unsubscribe>;

  /** @param attempt fences earlier writers: a reader drops deltas of an attempt that is older than the newest it saw. */
  openStream(subject: string, attempt: number): StreamWriter;
  subscribeStream(subject: string, onItem: (item: StreamItem) => void): Promise<Unsubscribe>;

  /** @throws Unavailable while the backend does not answer. */
  ping(): Promise<void>;
  /** Sends pending updates, then closes. */
  close(): Promise<void>;
}
