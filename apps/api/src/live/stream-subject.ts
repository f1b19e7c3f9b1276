/** Streams one batch or task: its state, then events and newer states, until its last event. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { FeedStore } from '#database';
import { Gone, NotFound } from '#domain';
import type { Caller } from '../access/caller.ts';
import { toEventMessage, toStateMessage, type EventStreams } from './event-streams.ts';
import type { LiveFeed } from './live-feed.ts';
import type { ReadSubject } from './read-subject.ts';

/** @param after position of the last event that the client has; null for one that starts now. @throws NotFound, OverLimit */
export type StreamSubject = (
  caller: Caller,
  id: string,
  after: number | null,
  request: FastifyRequest,
  reply: FastifyReply,
) => Promise<void>;
export const STREAM_SUBJECT = Symbol('stream subject');

export interface StreamSubjectDeps {
  readonly live: LiveFeed;
  readonly streams: EventStreams;
  readonly feed: FeedStore;
  readonly readSubject: ReadSubject;
}

export function streamSubjectWith({ live, streams, feed, readSubject }: StreamSubjectDeps): StreamSubject {
  return async (caller, id, requestedAfter, request, reply) => {
    const { workspaceId } = caller;
    const after = await findStart(workspaceId, requestedAfter, feed);
    if (!(await readSubject(workspaceId, id))) {
      throw new NotFound('No such batch or task.', { code: 'not_found' });
    }
    const end = await feed.findTerminalPosition(workspaceId, id);
    if (end !== null && after !== null && after >= end) {
      // The client has every event. 204 is the one answer after which an EventSource does not reconnect.
      await reply.status(204).send();
      return;
    }
    const stream = streams.open(request, reply, caller);
    const sendState = async (position?: number) => {
      const state = await readSubject(workspaceId, id);
      if (state) stream.sendUnlessBehind(toStateMessage(state, position));
    };
    const following = await live.followEvents(workspaceId, after, async (event) => {
      if (event.subject !== id) return;
      await stream.send(toEventMessage(event));
      if (!event.terminal) return;
      await sendState();
      stream.end();
    });
    stream.stopOnEnd(following);
    const stop = live.followState(workspaceId, id, (state) => stream.sendUnlessBehind(toStateMessage(state)));
    stream.stopOnEnd({ stop });
    await sendState(following.position);
    if (end !== null) stream.end();
  };
}

/** A client whose last event has been deleted gets the state, and the events from now on. */
async function findStart(workspaceId: string, after: number | null, feed: FeedStore): Promise<number | null> {
  if (after === null) return null;
  try {
    await feed.assertNotExpired(workspaceId, after);
    return after;
  } catch (error) {
    if (error instanceof Gone) return null;
    throw error;
  }
}
