/** What clients follow live, over sockets and event streams; and the relay that publishes events. */
import { Inject, Module, type OnModuleInit } from '@nestjs/common';
import { BatchStore, FeedStore, LeaseStore, TaskStore, WorkerStore } from '#database';
import type { Bus } from '#realtime';
import type { Logger } from '#telemetry';
import { AccessModule } from '../access/access.module.ts';
import { BackgroundJobs } from '../background/background-jobs.ts';
import { BackgroundModule } from '../background/background.module.ts';
import { InfrastructureModule } from '../infrastructure/infrastructure.module.ts';
import { provideStores, provideWith } from '../infrastructure/provide.ts';
import { BUS, LOGGER, OBJECTS } from '../infrastructure/tokens.ts';
import { EventStreams } from './event-streams.ts';
import { EventsController } from './events.controller.ts';
import { LiveFeed } from './live-feed.ts';
import { LiveGateway } from './live.gateway.ts';
import { READ_SUBJECT, readSubjectWith } from './read-subject.ts';
import { READ_WORKERS, readWorkersWith } from './read-workers.ts';
import { STREAM_SUBJECT, streamSubjectWith } from './stream-subject.ts';
import { startRelay } from './relay.ts';

/** The live parts without their resources: a test gives its own. */
export const liveParts = {
  controllers: [EventsController],
  providers: [
    LiveFeed,
    EventStreams,
    LiveGateway,
    provideWith(STREAM_SUBJECT, streamSubjectWith, {
      live: LiveFeed,
      streams: EventStreams,
      feed: FeedStore,
      readSubject: READ_SUBJECT,
    }),
  ],
};

@Module({
  imports: [InfrastructureModule, AccessModule, BackgroundModule],
  controllers: liveParts.controllers,
  providers: [
    ...provideStores(BatchStore, FeedStore, LeaseStore, TaskStore, WorkerStore),
    provideWith(READ_SUBJECT, readSubjectWith, { batches: BatchStore, tasks: TaskStore, objects: OBJECTS }),
    { provide: READ_WORKERS, useFactory: readWorkersWith, inject: [WorkerStore] },
    ...liveParts.providers,
  ],
})
export class LiveModule implements OnModuleInit {
  constructor(
    @Inject(BackgroundJobs) private readonly jobs: BackgroundJobs,
    @Inject(FeedStore) private readonly feed: FeedStore,
    @Inject(LeaseStore) private readonly leases: LeaseStore,
    @Inject(BUS) private readonly bus: Bus,
    @Inject(LOGGER) private readonly log: Logger,
  ) {}

  onModuleInit(): void {
    const { feed, leases, bus, log } = this;
    this.jobs.add(() => startRelay({ feed, leases, bus, log }));
  }
}
