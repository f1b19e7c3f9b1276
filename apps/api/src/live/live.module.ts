/** What follows live, over sockets and event streams; what it stands on comes from whoever makes the module. */
import { Module, type DynamicModule, type Provider } from '@nestjs/common';
import { EventStreams } from './event-streams.ts';
import { EventsController } from './events.controller.ts';
import { LiveFeed } from './live-feed.ts';
import { LiveGateway } from './live.gateway.ts';

@Module({})
export class LiveModule {
  /** @param providers AUTHENTICATE, READ_SUBJECT, READ_WORKERS, BUS, LOGGER and FeedStore. */
  static on(providers: Provider[]): DynamicModule {
    return {
      module: LiveModule,
      controllers: [EventsController],
      providers: [...providers, LiveFeed, EventStreams, LiveGateway],
    };
  }
}
