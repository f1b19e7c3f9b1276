/** Streams every event of a workspace, from a position in its feed or from now on. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { FeedStore } from '#database';
import type { Caller } from '../access/caller.ts';
import { toEventMessage, type EventStreams } from './event-streams.ts';
import type { LiveFeed } from './live-feed.ts';

/** @param after position of the last event that the client has; null for one that starts now. @throws Gone, OverLimit */
export type StreamWorkspace = (
  caller: Caller,
  after: number | null,
  request: FastifyRequest,
  reply: FastifyReply,
) => Promise<void>;
export const STREAM_WORKSPACE = Symbol('stream workspace');

export interface StreamWorkspaceDeps {
  readonly live: LiveFeed;
  readonly streams: EventStreams;
  readonly feed: Pick<FeedStore, 'assertNotExpired'>;
}

export function streamWorkspaceWith({ live, streams, feed }: StreamWorkspaceDeps): StreamWorkspace {
  return async (caller, after, request, reply) => {
    const { workspaceId } = caller;
    // Checked before the stream starts: an EventSource does not reconnect after a response that is not a stream.
    if (after !== null) await feed.assertNotExpired(workspaceId, after);
    const stream = streams.open(request, reply, caller);
    const following = await live.followEvents(workspaceId, after, (event) =>
      stream.send(toEventMessage(event)),
    );
    stream.stopOnEnd(following);
  };
}
