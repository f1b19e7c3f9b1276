/**
 * The one writer of server-sent events (HTML Living Standard, 9.2): events and states of the live feed, and chat
 * completions as they are generated. It keeps the connection alive, and drops a client that reads too slowly.
 */
import { PassThrough } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { SlowClientDetector } from './slow-client.ts';

export interface SseMessage {
  /** Sent as JSON; a string is sent as it is and must be one line. */
  readonly data: object | string;
  readonly event?: string;
  /** What the client sends back in `Last-Event-ID` when it reconnects. */
  readonly id?: string | number | undefined;
}

export interface SseOptions {
  /** How long a client waits before it reconnects; unset: the client decides. */
  readonly retryMs?: number;
}

/** Shorter than the idle time-outs of common proxies (60 s) and of this server. */
const keepAliveMs = 15_000;
const checkEveryMs = 1_000;

export class SseStream {
  private readonly body = new PassThrough();
  private readonly timer: NodeJS.Timeout;
  private readonly sources: { stop(): void }[] = [];

  /** Starts the response. Its head, with the headers that `reply` has by now, is sent with the first message. */
  constructor(reply: FastifyReply, { retryMs }: SseOptions = {}) {
    void reply
      .status(200)
      .header('content-type', 'text/event-stream; charset=utf-8')
      .header('cache-control', 'no-cache, no-transform')
      .header('x-content-type-options', 'nosniff')
      // Without it nginx buffers the stream.
      .header('x-accel-buffering', 'no')
      .send(this.body);
    if (retryMs !== undefined) this.body.write(`retry: ${retryMs}\n\n`);
    const client = new SlowClientDetector();
    let lastKeepAlive = performance.now();
    this.timer = setInterval(() => {
      const now = performance.now();
      if (client.isTooSlow(this.body.writableLength + reply.raw.writableLength, now)) this.drop();
      else if (now - lastKeepAlive > keepAliveMs) {
        lastKeepAlive = now;
        this.body.write(':\n\n');
      }
    }, checkEveryMs);
    reply.raw.once('close', () => this.end());
  }

  get isOpen(): boolean {
    return !this.body.destroyed && !this.body.writableEnded;
  }

  /** Stops `source` when the stream ends, whichever side ends it. */
  stopOnEnd(source: { stop(): void }): void {
    if (this.isOpen) this.sources.push(source);
    else source.stop();
  }

  /** @returns a promise when the client is behind: it settles when the client can take more. */
  send(message: SseMessage): Promise<void> | void {
    if (!this.isOpen) return;
    if (!this.body.write(format(message))) return this.waitForDrain();
  }

  /** Leaves the message out while the client is behind: for a state that the next one replaces. */
  sendUnlessBehind(message: SseMessage): void {
    if (this.isOpen && !this.body.writableNeedDrain) this.body.write(format(message));
  }

  end(): void {
    this.stopSources();
    this.body.end();
  }

  private drop(): void {
    this.stopSources();
    this.body.destroy();
  }

  private stopSources(): void {
    clearInterval(this.timer);
    for (const source of this.sources.splice(0)) source.stop();
  }

  private waitForDrain(): Promise<void> {
    return new Promise((resolve) => {
      const settle = () => {
        this.body.off('drain', settle).off('close', settle);
        resolve();
      };
      this.body.once('drain', settle).once('close', settle);
    });
  }
}

function format({ data, event, id }: SseMessage): string {
  const idLine = id === undefined ? '' : `id: ${id}\n`;
  const eventLine = event === undefined ? '' : `event: ${event}\n`;
  return `${idLine}${eventLine}data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`;
}
