/** The event streams that are open in this process: how many one workspace may have, and what ends them. */
import { Inject, Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Caller } from '#database';
import { OverLimit } from '#domain';
import { parseBearerKey } from '../access/access.guard.ts';
import { AUTHENTICATE, type Authenticate } from '../access/authenticate.ts';
import { SseStream } from '../http/sse-stream.ts';
import { LiveFeed } from './live-feed.ts';

/** Open at once for one workspace; a page needs one. */
const maxStreams = 200;

@Injectable()
export class EventStreams {
  private readonly counts = new Map<string, number>();

  constructor(
    @Inject(LiveFeed) private readonly live: LiveFeed,
    @Inject(AUTHENTICATE) private readonly authenticate: Authenticate,
  ) {}

  /** Starts the answer. The stream ends when either side closes it, or its key is revoked. @throws OverLimit */
  open(request: FastifyRequest, reply: FastifyReply, { workspaceId, keyId }: Caller): SseStream {
    const count = this.counts.get(workspaceId) ?? 0;
    if (count >= maxStreams) {
      throw new OverLimit(`A workspace may have ${maxStreams} event streams open. Close one first.`, {
        status: 429,
        code: 'too_many_streams',
        retryAfterMs: 5_000,
      });
    }
    this.counts.set(workspaceId, count + 1);
    const stream = new SseStream(reply);
    const stop = this.live.addConnection({
      keyId,
      reauthenticate: () => this.authenticate(parseBearerKey(request)),
      end: () => stream.end(),
    });
    stream.onEnd({ stop });
    stream.onEnd({ stop: () => this.closed(workspaceId) });
    return stream;
  }

  private closed(workspaceId: string): void {
    const left = this.counts.get(workspaceId)! - 1;
    if (left > 0) this.counts.set(workspaceId, left);
    else this.counts.delete(workspaceId);
  }
}
