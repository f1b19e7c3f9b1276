/** `/v1/events` and `…/{id}/events`: the feed as a list or a stream, and one subject's way to its end. */
import { Controller, Get, Headers, Inject, Param, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { eventsQuery, toPage, type EventsQuery } from '@millrace/contracts';
import { FeedStore, type Caller } from '#database';
import { Gone, NotFound } from '#domain';
import { CurrentCaller } from '../access/access.guard.ts';
import { resourceId } from '../http/resource-id.pipe.ts';
import { EventStreams } from './event-streams.ts';
import { LiveFeed } from './live-feed.ts';
import { READ_SUBJECT, type ReadSubject } from './read-subject.ts';

@Controller('v1')
export class EventsController {
  constructor(
    @Inject(LiveFeed) private readonly live: LiveFeed,
    @Inject(EventStreams) private readonly streams: EventStreams,
    @Inject(FeedStore) private readonly feed: FeedStore,
    @Inject(READ_SUBJECT) private readonly readSubject: ReadSubject,
  ) {}

  /** A list unless the client asks for an event stream. */
  @Get('events')
  async workspace(
    @CurrentCaller() caller: Caller,
    @Query({ schema: eventsQuery }) query: EventsQuery,
    @Headers('last-event-id') lastEventId: string | undefined,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const { workspaceId } = caller;
    if (!request.headers.accept?.includes('text/event-stream')) {
      const facts = await this.feed.listAfter(workspaceId, query.after ?? 0, query.limit + 1);
      await reply.send(toPage(facts, query.limit));
      return;
    }
    const after = parseResumePosition(lastEventId, query);
    // Said before the stream begins: an EventSource that is given an answer of its own does not come back for it.
    if (after !== null) await this.feed.assertNotExpired(workspaceId, after);
    const stream = this.streams.open(request, reply, caller);
    stream.onEnd(await this.live.followEvents(workspaceId, after, (fact) => stream.sendEvent(fact)));
  }

  @Get('batches/:id/events')
  async batch(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('batch')) id: string,
    @Query({ schema: eventsQuery }) query: EventsQuery,
    @Headers('last-event-id') lastEventId: string | undefined,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const after = await this.keptOrNow(caller.workspaceId, parseResumePosition(lastEventId, query));
    await this.subject(caller, id, after, request, reply);
  }

  @Get('tasks/:id/events')
  async task(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('task')) id: string,
    @Query({ schema: eventsQuery }) query: EventsQuery,
    @Headers('last-event-id') lastEventId: string | undefined,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const after = await this.keptOrNow(caller.workspaceId, parseResumePosition(lastEventId, query));
    await this.subject(caller, id, after, request, reply);
  }

  /** The state, then facts and newer states; ended with the subject's last fact. */
  private async subject(
    caller: Caller,
    id: string,
    after: number | null,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<void> {
    const { workspaceId } = caller;
    if (!(await this.readSubject(workspaceId, id))) {
      throw new NotFound('No such batch or task.', { code: 'not_found' });
    }
    const end = await this.feed.findTerminalPosition(workspaceId, id);
    if (end !== null && after !== null && after >= end) {
      // All was told: the one answer after which an EventSource does not come back.
      await reply.status(204).send();
      return;
    }
    const stream = this.streams.open(request, reply, caller);
    const tellState = async (position?: number) => {
      const state = await this.readSubject(workspaceId, id);
      if (state) stream.sendState(state, position);
    };
    const following = await this.live.followEvents(workspaceId, after, async (fact) => {
      if (fact.subject !== id) return;
      await stream.sendEvent(fact);
      if (!fact.terminal) return;
      await tellState();
      stream.end();
    });
    stream.onEnd(following);
    stream.onEnd({ stop: this.live.followState(workspaceId, id, (state) => stream.sendState(state)) });
    await tellState(following.position);
    if (end !== null) stream.end();
  }

  /** Whoever comes from before what is kept is told the state anyway, and goes on from now. */
  private async keptOrNow(workspaceId: string, after: number | null): Promise<number | null> {
    if (after === null) return null;
    try {
      await this.feed.assertNotExpired(workspaceId, after);
      return after;
    } catch (error) {
      if (error instanceof Gone) return null;
      throw error;
    }
  }
}

/** A client that comes back names the last event it was sent in a header; one that has read a list, in the query. */
function parseResumePosition(lastEventId: string | undefined, { after }: EventsQuery): number | null {
  const header = eventsQuery.shape.after.safeParse(lastEventId === '' ? undefined : lastEventId);
  return header.data ?? after ?? null;
}
