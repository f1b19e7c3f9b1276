/** `/v1/events` and `…/{id}/events`: the feed as a list or a stream, and one subject's way to its end. */
import { Controller, Get, Headers, Inject, Param, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { eventsQuery, toPage, type EventsQuery } from '#contracts';
import { FeedStore, type Caller } from '#database';
import { Gone, NotFound } from '#domain';
import { CallerOf } from '../access/api-key.guard.ts';
import { knownId } from '../wire/known-id.pipe.ts';
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
    @CallerOf() caller: Caller,
    @Query({ schema: eventsQuery }) query: EventsQuery,
    @Headers('last-event-id') lastEventId: string | undefined,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const { workspaceId } = caller;
    if (!request.headers.accept?.includes('text/event-stream')) {
      const facts = await this.feed.read(workspaceId, query.after ?? 0, query.limit + 1);
      await reply.send(toPage(facts, query.limit));
      return;
    }
    const after = resumedAt(lastEventId, query);
    // Said before the stream begins: an EventSource that is given an answer of its own does not come back for it.
    if (after !== null) await this.feed.assertKept(workspaceId, after);
    const stream = this.streams.open(request, reply, caller);
    stream.holds(await this.live.followFacts(workspaceId, after, (fact) => stream.fact(fact)));
  }

  @Get('batches/:id/events')
  async batch(
    @CallerOf() caller: Caller,
    @Param('id', knownId('batch')) id: string,
    @Query({ schema: eventsQuery }) query: EventsQuery,
    @Headers('last-event-id') lastEventId: string | undefined,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const after = await this.keptOrNow(caller.workspaceId, resumedAt(lastEventId, query));
    await this.subject(caller, id, after, request, reply);
  }

  @Get('tasks/:id/events')
  async task(
    @CallerOf() caller: Caller,
    @Param('id', knownId('task')) id: string,
    @Query({ schema: eventsQuery }) query: EventsQuery,
    @Headers('last-event-id') lastEventId: string | undefined,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const after = await this.keptOrNow(caller.workspaceId, resumedAt(lastEventId, query));
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
    const end = await this.feed.endOf(workspaceId, id);
    if (end !== null && after !== null && after >= end) {
      // All was told: the one answer after which an EventSource does not come back.
      await reply.status(204).send();
      return;
    }
    const stream = this.streams.open(request, reply, caller);
    const tellState = async (position?: number) => {
      const state = await this.readSubject(workspaceId, id);
      if (state) stream.state(state, position);
    };
    const following = await this.live.followFacts(workspaceId, after, async (fact) => {
      if (fact.subject !== id) return;
      await stream.fact(fact);
      if (!fact.terminal) return;
      await tellState();
      stream.end();
    });
    stream.holds(following);
    stream.holds({ stop: this.live.followState(workspaceId, id, (state) => stream.state(state)) });
    await tellState(following.position);
    if (end !== null) stream.end();
  }

  /** Whoever comes from before what is kept is told the state anyway, and goes on from now. */
  private async keptOrNow(workspaceId: string, after: number | null): Promise<number | null> {
    if (after === null) return null;
    try {
      await this.feed.assertKept(workspaceId, after);
      return after;
    } catch (error) {
      if (error instanceof Gone) return null;
      throw error;
    }
  }
}

/** A client that comes back names the last event it was sent in a header; one that has read a list, in the query. */
function resumedAt(lastEventId: string | undefined, { after }: EventsQuery): number | null {
  const header = eventsQuery.shape.after.safeParse(lastEventId === '' ? undefined : lastEventId);
  return header.data ?? after ?? null;
}
