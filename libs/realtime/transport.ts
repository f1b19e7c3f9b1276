/** What the bus needs from a backend: ordered texts on named channels, and a callback after each interruption. */
import { withTimeout } from '#async';
import { Unavailable } from '#domain';
import type { Logger } from '#telemetry';

export interface TransportEvents {
  /** A message arrived on a subscribed channel. */
  onMessage(channel: string, value: unknown): void;
  /** Subscriptions work again after an interruption: messages may have been missed. */
  onSubscriptionsRestored(): void;
  /** Publishing works again after an interruption. */
  onPublisherRestored(): void;
}

export interface Transport {
  /** Connects. @throws Unavailable when the backend does not answer. */
  start(events: TransportEvents): Promise<void>;
  /**
   * Messages of one process on one channel arrive in order. Rejects when the backend did not accept the message.
   * @param json one JSON value.
   */
  publish(channel: string, json: string): Promise<void>;
  /** Resolves when messages published from then on will arrive; during an outage, after the reconnect. */
  subscribe(channel: string): Promise<void>;
  unsubscribe(channel: string): Promise<void>;
  ping(): Promise<void>;
  close(): Promise<void>;
}

export interface TransportOptions {
  readonly url: string;
  /** The connections' name in the server's lists. */
  readonly name: string;
  /** How often each connection is checked. */
  readonly heartbeatMs: number;
  readonly log: Logger;
}

/** The largest message, in bytes of JSON. Put larger data in object storage and send its key. */
export const maxMessageBytes = 1 << 20;

/** Returns the delay before a reconnect attempt (counted from 0): exponential from 100 ms to 5 s, half of it jitter. */
export function getReconnectDelayMs(attempt: number): number {
  const maxDelay = Math.min(5_000, 100 * 2 ** Math.min(attempt, 10));
  return maxDelay * (0.5 + Math.random() / 2);
}

export function busUnavailable(cause?: unknown): Unavailable {
  return new Unavailable('The message bus does not answer. Try again shortly.', {
    code: 'bus_unavailable',
    cause,
  });
}

/**
 * Detects a dead connection whose packets are dropped: runs `check` every `intervalMs`, and calls `onDead` when it fails
 * or does not answer within `intervalMs` or 5 s, whichever is shorter. @returns the stop function.
 */
export function startHeartbeat(
  intervalMs: number,
  check: () => Promise<unknown>,
  onDead: () => void,
): () => void {
  const timeoutMs = Math.min(intervalMs, 5_000);
  const timer = setInterval(() => void withTimeout(check(), timeoutMs).catch(onDead), intervalMs);
  timer.unref();
  return () => clearInterval(timer);
}
