/**
 * What this API process sends to the clients that follow live, over sockets and event streams: the state of a batch or a task
 * when an update says that it has changed, and every event of a followed workspace. Events are read from the feed by
 * position, so none is missed when a message on the bus is dropped.
 */
import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import { waitAtMost } from '#async';
import { FeedStore } from '#database';
import { Unauthenticated } from '#domain';
import type { Bus, Unsubscribe } from '#realtime';
import type { Logger } from '#telemetry';
import { BUS, LOGGER } from '../infrastructure/tokens.ts';
import { FollowedFeeds, type Following, type OnEvent } from './followed-feeds.ts';
import { FollowedSubjects, type OnState } from './followed-subjects.ts';
import { READ_SUBJECT, type ReadSubject } from './read-subject.ts';

/** The relay may crash after it publishes an event and before its message; no other message may follow. */
const pollEveryMs = 5_000;
const unsubscribeTimeoutMs = 1_000;

/** A socket or an event stream, and the API key that opened it. */
export interface Connection {
  readonly keyId: string;
  /** Checks the key again. @throws Unauthenticated when it is no longer valid. */
  reauthenticate(): Promise<unknown>;
  end(): void;
}

@Injectable()
export class LiveFeed implements OnModuleDestroy {
  private readonly feeds: FollowedFeeds;
  private readonly subjects: FollowedSubjects;
  private readonly connections = new Set<Connection>();
  private readonly subscriptions: Promise<Unsubscribe>[];
  /** Settles when this process gets every message that is published from now on; before that it relies on polling. */
  readonly listening: Promise<void>;
  private readonly timer: NodeJS.Timeout;

  constructor(
    @Inject(READ_SUBJECT) readSubject: ReadSubject,
    @Inject(FeedStore) feed: FeedStore,
    @Inject(BUS) bus: Bus,
    @Inject(LOGGER) log: Logger,
  ) {
    this.subjects = new FollowedSubjects(readSubject, log);
    this.feeds = new FollowedFeeds(feed, log, (id) => this.subjects.requestRefresh(id));
    this.subscriptions = this.subscribe(bus);
    // A subscription waits for a bus that is away; it fails only when the bus is closed first.
    this.listening = Promise.all(this.subscriptions).then(() => this.catchUp());
    this.listening.catch(() => undefined);
    this.timer = setInterval(() => void this.feeds.poll(), pollEveryMs);
  }

  async onModuleDestroy(): Promise<void> {
    this.feeds.stop();
    this.subjects.stop();
    clearInterval(this.timer);
    for (const connection of this.connections) connection.end();
    const ends = this.subscriptions.map(async (subscription) => (await subscription)());
    // While the bus is away a subscription has not started; closing the bus ends it.
    await waitAtMost(unsubscribeTimeoutMs, Promise.allSettled(ends));
  }

  /** Ends the connection when its key is revoked. @returns removes it; to be called when it has ended by itself. */
  addConnection(connection: Connection): () => void {
    this.connections.add(connection);
    return () => this.connections.delete(connection);
  }

  /**
   * Delivers each event of the workspace once, in order: those after `after`, or those published from now on.
   * @returns once older events are delivered. @throws Unavailable
   */
  followEvents(workspaceId: string, after: number | null, onEvent: OnEvent): Promise<Following> {
    return this.feeds.follow(workspaceId, after, onEvent);
  }

  /** Delivers the state of a batch or a task each time it changes; a newer state may replace an older one. */
  followState(workspaceId: string, id: string, onState: OnState): () => void {
    return this.subjects.follow(workspaceId, id, onState);
  }

  private subscribe(bus: Bus): Promise<Unsubscribe>[] {
    const { feeds, subjects } = this;
    /** One subscription catches up for all when messages may have been dropped. */
    const ignore = () => undefined;
    return [
      bus.subscribeUpdates('batch', ({ batchId }) => subjects.requestRefresh(batchId)),
      bus.subscribeUpdates('task', ({ taskId }) => subjects.requestRefresh(taskId)),
      bus.subscribe('task.ended', ({ taskId }) => subjects.requestRefresh(taskId), ignore),
      bus.subscribe(
        'events.published',
        ({ workspaceId, to }) => feeds.onPublished(workspaceId, to),
        () => this.catchUp(),
      ),
      bus.subscribe('key.revoked', ({ keyId }) => this.endRevoked(keyId), ignore),
    ];
  }

  /** Messages may have been dropped: reads everything that clients of this process follow. */
  private catchUp(): void {
    void this.reauthenticateAll();
    this.subjects.refreshAll();
    this.feeds.deliverAll();
  }

  private endRevoked(keyId: string): void {
    for (const connection of this.connections) if (connection.keyId === keyId) connection.end();
  }

  private async reauthenticateAll(): Promise<void> {
    for (const connection of [...this.connections]) {
      await connection.reauthenticate().catch((error: unknown) => {
        if (error instanceof Unauthenticated) connection.end();
      });
    }
  }
}
