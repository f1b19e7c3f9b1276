/** What the bus needs of a backend: texts on named channels, in order, and word of every interruption. */
import { Unavailable } from '#domain';
import type { Logger } from '#telemetry';

export interface TransportEvents {
  /** A message came on a channel that is listened to. */
  onMessage(channel: string, value: unknown): void;
  /** Listening works again after an interruption: messages may have been missed. */
  onSubscriptionsRestored(): void;
  /** Publishing works again after an interruption. */
  onPublisherRestored(): void;
}

export interface Transport {
  /** Connects. @throws Unavailable when the backend does not answer. */
  start(events: TransportEvents): Promise<void>;
  /** @param json one JSON value. Messages of one process on one channel arrive in order. Rejects when it was not taken. */
  publish(channel: string, json: string): Promise<void>;
  /** Settles when messages published from then on will arrive, be that after a reconnect. */
  subscribe(channel: string): Promise<void>;
  unsubscribe(channel: string): Promise<void>;
  ping(): Promise<void>;
  close(): Promise<void>;
}

export interface TransportOptions {
  readonly url: string;
  /** How the connections show in the server's own lists. */
  readonly name: string;
  /** How often a silent connection is asked whether it lives. */
  readonly heartbeatMs: number;
  readonly log: Logger;
}

/** One message may be this large, in bytes of JSON; what is larger belongs in the store, with a reference here. */
export const maxMessageBytes = 1 << 20;

/** Delay before reconnect attempt `tries` (from 0): exponential from 100 ms to 5 s, half of it jitter. */
export function reconnectDelayMs(tries: number): number {
  const ceiling = Math.min(5_000, 100 * 2 ** Math.min(tries, 10));
  return ceiling * (0.5 + Math.random() / 2);
}

export function busUnavailable(cause?: unknown): Unavailable {
  return new Unavailable('The message bus does not answer. Try again shortly.', {
    code: 'bus_unavailable',
    cause,
  });
}

/**
 * Finds a connection that died without a word (packets vanish): asks every `everyMs`, and calls `dead` when no
 * answer came in as long, or in 5 s. @returns the stop function.
 */
export function startHeartbeat(everyMs: number, ask: () => Promise<unknown>, dead: () => void): () => void {
  const timer = setInterval(() => void answerInTime(Math.min(everyMs, 5_000), ask()).catch(dead), everyMs);
  timer.unref();
  return () => clearInterval(timer);
}

/** @throws Unavailable when `work` has not settled in time. */
export async function answerInTime<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(busUnavailable()), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
