/** What clients follow live, over sockets and event streams; the relay that publishes events, and their expiry. */
import { Inject, Module, type OnModuleInit } from '@nestjs/common';
import { BatchStore, FeedStore, LeaseStore, RetentionStore, WorkerStore } from '#database';
import { AccessModule } from '../access/access.module.ts';
import { BackgroundJobs, type RunningJob } from '../background/background-jobs.ts';
import { BackgroundModule } from '../background/background.module.ts';
import { InfrastructureModule } from '../infrastructure/infrastructure.module.ts';
import { provideOptions, provideStores, provideWith } from '../infrastructure/provide.ts';
import { BUS, LOGGER } from '../infrastructure/tokens.ts';
import { READ_TASK } from '../tasks/read-task.ts';
import { TasksModule } from '../tasks/tasks.module.ts';
import { deleteExpiredEvents } from './delete-expired-events.ts';
import { EventStreams } from './event-streams.ts';
import { EventsController } from './events.controller.ts';
import { LiveFeed } from './live-feed.ts';
import { LiveGateway } from './live.gateway.ts';
import { READ_SUBJECT, readSubjectWith } from './read-subject.ts';
import { READ_WORKERS, readWorkersWith } from './read-workers.ts';
import { STREAM_SUBJECT, streamSubjectWith } from './stream-subject.ts';
import { STREAM_WORKSPACE, streamWorkspaceWith } from './stream-workspace.ts';
import { startRelay, type RelayOptions } from './relay.ts';

const START_RELAY = Symbol('start relay');
/** Days for which events are kept. */
const EVENT_DAYS = Symbol('event days');

/** The live parts without their resources: a test gives its own. */
export const liveParts = {
  controllers: [EventsController],
  providers: [
    LiveFeed,
    EventStreams,
    LiveGateway,
    provideWith(STREAM_WORKSPACE, streamWorkspaceWith, {
      live: LiveFeed,
      streams: EventStreams,
      feed: FeedStore,
    }),
    provideWith(STREAM_SUBJECT, streamSubjectWith, {
      live: LiveFeed,
      streams: EventStreams,
      feed: FeedStore,
      readSubject: READ_SUBJECT,
    }),
  ],
};

@Module({
  imports: [InfrastructureModule, AccessModule, BackgroundModule, TasksModule],
  controllers: liveParts.controllers,
  providers: [
    ...provideStores(BatchStore, FeedStore, LeaseStore, RetentionStore, WorkerStore),
    provideOptions(EVENT_DAYS, (config) => config.FEED_DAYS),
    provideWith(START_RELAY, (options: RelayOptions) => () => startRelay(options), {
      feed: FeedStore,
      leases: LeaseStore,
      bus: BUS,
      log: LOGGER,
    }),
    provideWith(READ_SUBJECT, readSubjectWith, { batches: BatchStore, readTask: READ_TASK }),
    { provide: READ_WORKERS, useFactory: readWorkersWith, inject: [WorkerStore] },
    ...liveParts.providers,
  ],
})
export class LiveModule implements OnModuleInit {
  constructor(
    @Inject(BackgroundJobs) private readonly jobs: BackgroundJobs,
    @Inject(START_RELAY) private readonly startRelay: () => RunningJob,
    @Inject(RetentionStore) private readonly retention: RetentionStore,
    @Inject(EVENT_DAYS) private readonly eventDays: number,
  ) {}

  onModuleInit(): void {
    const { jobs, retention, eventDays } = this;
    jobs.add(this.startRelay);
    jobs.addRetentionStep({ rows: 'events', run: () => deleteExpiredEvents(retention, eventDays) });
  }
}
