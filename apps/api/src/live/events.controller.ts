/** `/v1/events` and `…/{id}/events`: the feed as a list or a stream, and the events of one batch or task until its end. */
import { Controller, Get, Headers, Inject, Param, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { eventsQuery, toPage, type EventsQuery } from '@millrace/contracts';
import { FeedStore } from '#database';
import type { Caller } from '../access/caller.ts';
import { CurrentCaller, Requires } from '../access/decorators.ts';
import { resourceId } from '../http/resource-id.pipe.ts';
import { STREAM_SUBJECT, type StreamSubject } from './stream-subject.ts';
import { STREAM_WORKSPACE, type StreamWorkspace } from './stream-workspace.ts';

@Controller('v1')
export class EventsController {
  constructor(
    @Inject(FeedStore) private readonly feed: FeedStore,
    @Inject(STREAM_WORKSPACE) private readonly streamWorkspace: StreamWorkspace,
    @Inject(STREAM_SUBJECT) private readonly streamSubject: StreamSubject,
  ) {}

  /** A list, or a stream if the client accepts `text/event-stream`. */
  @Get('events')
  @Requires('events:read')
  async workspace(
    @CurrentCaller() caller: Caller,
    @Query({ schema: eventsQuery }) query: EventsQuery,
    @Headers('last-event-id') lastEventId: string | undefined,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    if (!request.headers.accept?.includes('text/event-stream')) {
      const events = await this.feed.listAfter(caller.workspaceId, query.after ?? 0, query.limit + 1);
      await reply.send(toPage(events, query.limit));
      return;
    }
    await this.streamWorkspace(caller, parseResumePosition(lastEventId, query), request, reply);
  }

  @Get('batches/:id/events')
  @Requires('events:read')
  async batch(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('batch')) id: string,
    @Query({ schema: eventsQuery }) query: EventsQuery,
    @Headers('last-event-id') lastEventId: string | undefined,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    await this.streamSubject(caller, id, parseResumePosition(lastEventId, query), request, reply);
  }

  @Get('tasks/:id/events')
  @Requires('events:read')
  async task(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('task')) id: string,
    @Query({ schema: eventsQuery }) query: EventsQuery,
    @Headers('last-event-id') lastEventId: string | undefined,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    await this.streamSubject(caller, id, parseResumePosition(lastEventId, query), request, reply);
  }
}

/** A client that reconnects names the last event in a header; one that has read a list names it in the query. */
function parseResumePosition(lastEventId: string | undefined, { after }: EventsQuery): number | null {
  const header = eventsQuery.shape.after.safeParse(lastEventId === '' ? undefined : lastEventId);
  return header.data ?? after ?? null;
}
