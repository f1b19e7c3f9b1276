/**
 * The bus between processes, and its three kinds of traffic. None of it is the truth: facts are rows in
 * Postgres, and whatever is missed here can be read there.
 */
import type { Message, MessageTopic, Update, UpdateTopic } from './topics.ts';

/** Ends a subscription; no handler runs after the call, and it settles once the backend has forgotten it. */
export type Unsubscribe = () => Promise<void>;

/** What a reader of a stream is given, in the order in which the writer sent it. */
export type StreamItem =
  | { kind: 'delta'; attempt: number; number: number; delta: unknown }
  /** Deltas `from` to `to` of this attempt did not arrive: refill them, then go on with what follows. */
  | { kind: 'gap'; attempt: number; from: number; to: number }
  /** Anything after delta `after` may have been missed, and nothing may follow that would show it. */
  | { kind: 'resync'; attempt: number; after: number }
  | { kind: 'end'; attempt: number; last: number };

/** Deltas of one attempt, numbered from 1. Nothing here throws: a delta that can't be sent becomes a gap. */
export interface StreamWriter {
  /** @param delta any JSON value. @returns its number. */
  send(delta: unknown): number;
  end(): void;
}

export interface Bus {
  /** Coalesced per subject, at most about ten a second each, the newest always last; lost while the bus is down. */
  publishUpdate<T extends UpdateTopic>(topic: T, payload: Update<T>): void;
  subscribeUpdates<T extends UpdateTopic>(topic: T, on: (payload: Update<T>) => void): Promise<Unsubscribe>;

  /** At most once. @returns whether the backend took it; when it did not, listeners get a resync later. */
  publish<T extends MessageTopic>(topic: T, payload: Message<T>): Promise<boolean>;
  /**
   * @param resync called when an announcement may have been missed (this process or a speaker lost the
   * backend): read the truth again.
   */
  subscribe<T extends MessageTopic>(
    topic: T,
    on: (payload: Message<T>) => void,
    resync: () => void,
  ): Promise<Unsubscribe>;

  /** @param attempt fences earlier writers: a reader drops deltas of an attempt older than the newest it saw. */
  openStream(subject: string, attempt: number): StreamWriter;
  subscribeStream(subject: string, on: (item: StreamItem) => void): Promise<Unsubscribe>;

  /** @throws Unavailable while the backend does not answer. */
  ping(): Promise<void>;
  /** Sends what still waits, then closes. */
  close(): Promise<void>;
}
