/**
 * Server-sent events, for those who want no library: `id` is the place in the feed that a client resumes from
 * (`Last-Event-ID`), `event` and `data` are what a socket is sent. HTML Living Standard, 9.2.
 */
import { PassThrough } from 'node:stream';
import type { FastifyReply } from 'fastify';
import type { Fact, LiveState } from '@millrace/contracts';
import { SlowClientDetector } from './slow-client.ts';

/** Below what proxies and our own server call idle. */
const keepAliveMs = 15_000;
const lookEveryMs = 1_000;

export class SseStream {
  private readonly body = new PassThrough();
  private readonly clock: NodeJS.Timeout;
  private readonly held: { stop(): void }[] = [];

  constructor(reply: FastifyReply) {
    void reply
      .status(200)
      .header('content-type', 'text/event-stream; charset=utf-8')
      .header('cache-control', 'no-cache, no-transform')
      .header('x-content-type-options', 'nosniff')
      // nginx would gather them otherwise.
      .header('x-accel-buffering', 'no')
      .send(this.body);
    // A second's pause before a client that was cut off comes back; the first bytes also send the head.
    this.body.write('retry: 1000\n\n');
    const backlog = new SlowClientDetector();
    let said = performance.now();
    this.clock = setInterval(() => {
      const now = performance.now();
      if (backlog.isTooSlow(this.body.writableLength + reply.raw.writableLength, now)) this.cut();
      else if (now - said > keepAliveMs) {
        said = now;
        this.body.write(':\n\n');
      }
    }, lookEveryMs);
    reply.raw.once('close', () => this.end());
  }

  get isOpen(): boolean {
    return !this.body.destroyed && !this.body.writableEnded;
  }

  /** What feeds the stream is stopped when either side has ended it. */
  onEnd(source: { stop(): void }): void {
    if (this.isOpen) this.held.push(source);
    else source.stop();
  }

  /** @returns settles when the client has taken enough for more. */
  sendEvent(fact: Fact): Promise<void> | void {
    if (!this.isOpen) return;
    if (!this.write(fact.position, fact.type, fact)) return this.drained();
  }

  /** Left out while the client is behind: the next one says more. @param position of the feed that it includes. */
  sendState(state: LiveState, position?: number): void {
    if (this.isOpen && !this.body.writableNeedDrain) this.write(position, 'state', state);
  }

  end(): void {
    this.stopAll();
    this.body.end();
  }

  private cut(): void {
    this.stopAll();
    this.body.destroy();
  }

  private stopAll(): void {
    clearInterval(this.clock);
    for (const source of this.held.splice(0)) source.stop();
  }

  private write(id: number | undefined, event: string, data: unknown): boolean {
    const head = id === undefined ? '' : `id: ${id}\n`;
    return this.body.write(`${head}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  private drained(): Promise<void> {
    return new Promise((resolve) => {
      const settle = () => {
        this.body.off('drain', settle).off('close', settle);
        resolve();
      };
      this.body.once('drain', settle).once('close', settle);
    });
  }
}
