/** The event streams that are open in this process: limits them per workspace, and ends them with their API key. */
import { Inject, Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { EventObject, LiveState } from '@millrace/contracts';
import { OverLimit } from '#domain';
import { AUTHENTICATE, parseBearerKey, type Authenticate } from '../access/authenticate.ts';
import type { Caller } from '../access/caller.ts';
import { SseStream, type SseMessage } from '../http/sse-stream.ts';
import { LiveFeed } from './live-feed.ts';

/** Open at once in one workspace; a page needs one. */
const maxStreams = 200;
/** How long a client that lost its connection waits before it comes back. */
const retryMs = 1_000;

@Injectable()
export class EventStreams {
  private readonly counts = new Map<string, number>();

  constructor(
    @Inject(LiveFeed) private readonly live: LiveFeed,
    @Inject(AUTHENTICATE) private readonly authenticate: Authenticate,
  ) {}

  /** Starts the response. The stream ends when either side closes it, or the key is revoked. @throws OverLimit */
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
    const stream = new SseStream(reply, { retryMs });
    const stop = this.live.addConnection({
      keyId,
      reauthenticate: () => this.authenticate(parseBearerKey(request)),
      end: () => stream.end(),
    });
    stream.stopOnEnd({ stop });
    stream.stopOnEnd({ stop: () => this.release(workspaceId) });
    return stream;
  }

  private release(workspaceId: string): void {
    const left = this.counts.get(workspaceId)! - 1;
    if (left > 0) this.counts.set(workspaceId, left);
    else this.counts.delete(workspaceId);
  }
}

/** An event as a socket gets it; a client resumes from its position in the feed. */
export const toEventMessage = (event: EventObject): SseMessage => ({
  id: event.position,
  event: event.type,
  data: event,
});

/** @param position of the feed that the state includes. */
export const toStateMessage = (state: LiveState, position?: number): SseMessage => ({
  id: position,
  event: 'state',
  data: state,
});
