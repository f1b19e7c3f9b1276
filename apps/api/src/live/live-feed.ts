/**
 * What this API process tells those who follow live, whatever the wire: a subject's state when a signal says that it
 * moved, and the facts of every workspace that someone here follows, read from the feed by position, so that none is
 * left out.
 */
import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import type { Fact, LiveState } from '@millrace/contracts';
import { FeedStore } from '#database';
import { Unauthenticated } from '#domain';
import { Coalescer, type Bus, type Unsubscribe } from '#realtime';
import type { Logger } from '#telemetry';
import { BUS, LOGGER } from '../infrastructure/tokens.ts';
import { READ_SUBJECT, type ReadSubject } from './read-subject.ts';

/** At most five looks a second at one subject, however often it moves. */
const refreshEveryMs = 200;
/** A relay may die between stamping a fact and announcing it, and no other fact may follow. */
const lookEveryMs = 5_000;
const page = 500;

/** Whoever follows, by the key that let it in. */
export interface Connection {
  readonly keyId: string;
  /** Shows its key again. @throws Unauthenticated when it is no longer good. */
  reauthenticate(): Promise<unknown>;
  end(): void;
}

export interface Following {
  /** The last fact that was there before. */
  readonly position: number;
  stop(): void;
}

/** A promise is waited for while older facts are read, so that a slow reader sets the pace. */
export type OnEvent = (fact: Fact) => void | Promise<void>;
export type OnState = (state: LiveState) => void;

class FollowedFeed {
  readonly takers = new Set<OnEvent>();
  /** Takers, and those that are still reading older facts. */
  users = 0;
  /** Facts up to here have gone to the takers. */
  position = 0;
  reading = false;
  again = false;
  constructor(readonly ready: Promise<void>) {}
}

interface FollowedSubject {
  readonly workspaceId: string;
  readonly takers: Set<OnState>;
  looking: boolean;
  again: boolean;
}

@Injectable()
export class LiveFeed implements OnModuleDestroy {
  private readonly feeds = new Map<string, FollowedFeed>();
  private readonly subjects = new Map<string, FollowedSubject>();
  private readonly connections = new Set<Connection>();
  private readonly refreshes = new Coalescer<null>(refreshEveryMs, (id) => void this.refresh(id));
  private readonly subscriptions: Promise<Unsubscribe>[];
  /** Settles when all that is announced from now on is heard; until then the clock has to find it. */
  readonly listening: Promise<void>;
  private readonly clock: NodeJS.Timeout;
  private stopped = false;

  constructor(
    @Inject(READ_SUBJECT) private readonly readSubject: ReadSubject,
    @Inject(FeedStore) private readonly feed: FeedStore,
    @Inject(BUS) bus: Bus,
    @Inject(LOGGER) private readonly log: Logger,
  ) {
    this.subscriptions = [
      bus.subscribeUpdates('batch', ({ batchId }) => this.requestRefresh(batchId)),
      bus.subscribeUpdates('task', ({ taskId }) => this.requestRefresh(taskId)),
      bus.subscribe(
        'task.ended',
        ({ taskId }) => this.requestRefresh(taskId),
        () => undefined,
      ),
      bus.subscribe(
        'facts.stamped',
        ({ workspaceId, to }) => this.onPublished(workspaceId, to),
        () => this.refreshAll(),
      ),
      bus.subscribe(
        'key.revoked',
        ({ keyId }) => this.endRevoked(keyId),
        () => undefined, // The one above looks at everything.
      ),
    ];
    // A subscription waits for a bus that is away; it fails only when the bus is closed first.
    this.listening = Promise.all(this.subscriptions).then(() => this.refreshAll());
    this.listening.catch(() => undefined);
    this.clock = setInterval(() => void this.pollFeeds(), lookEveryMs);
  }

  async onModuleDestroy(): Promise<void> {
    this.stopped = true;
    clearInterval(this.clock);
    for (const connection of this.connections) connection.end();
    const ends = this.subscriptions.map(async (subscription) => (await subscription)());
    // A subscription to a bus that is away has not begun: closing the bus ends it.
    await Promise.race([Promise.allSettled(ends), new Promise((resolve) => setTimeout(resolve, 1_000))]);
  }

  /** Ends the connection when its key is revoked. @returns to be called when it has ended by itself. */
  addConnection(connection: Connection): () => void {
    this.connections.add(connection);
    return () => this.connections.delete(connection);
  }

  /**
   * Gives a taker each fact of the workspace once, in order: those after `after`, or those stamped from now on.
   * @returns once it is up to date. @throws Unavailable
   */
  async followEvents(workspaceId: string, after: number | null, take: OnEvent): Promise<Following> {
    const feed = this.feeds.get(workspaceId) ?? this.begin(workspaceId);
    feed.users++;
    let isFollowing = true;
    const stop = () => {
      if (!isFollowing) return;
      isFollowing = false;
      feed.takers.delete(take);
      if (--feed.users === 0 && this.feeds.get(workspaceId) === feed) this.feeds.delete(workspaceId);
    };
    try {
      await feed.ready;
      let position = after ?? feed.position;
      // Nothing may come between the last look and the taker's place among the others.
      while (position < feed.position) {
        const facts = await this.feed.listAfter(workspaceId, position, page);
        for (const fact of facts) await take(fact);
        position = facts.at(-1)?.position ?? feed.position;
      }
      feed.takers.add(take);
      return { position: feed.position, stop };
    } catch (error) {
      stop();
      throw error;
    }
  }

  /** Gives a taker the subject's state each time that it moved, but for those that a newer one overtakes. */
  followState(workspaceId: string, id: string, take: OnState): () => void {
    let subject = this.subjects.get(id);
    if (!subject) {
      subject = { workspaceId, takers: new Set(), looking: false, again: false };
      this.subjects.set(id, subject);
    }
    const { takers } = subject;
    takers.add(take);
    return () => {
      takers.delete(take);
      if (takers.size === 0 && this.subjects.get(id)?.takers === takers) this.subjects.delete(id);
    };
  }

  private begin(workspaceId: string): FollowedFeed {
    const head = this.feed.getHeads([workspaceId]);
    const feed = new FollowedFeed(
      head.then((heads) => {
        feed.position = heads.get(workspaceId) ?? 0;
      }),
    );
    this.feeds.set(workspaceId, feed);
    feed.ready.catch(() => {
      if (this.feeds.get(workspaceId) === feed) this.feeds.delete(workspaceId);
    });
    return feed;
  }

  private requestRefresh(id: string): void {
    if (this.subjects.has(id)) this.refreshes.push(id, null);
  }

  /** One look at a time, so that an older state never follows a newer one. */
  private async refresh(id: string): Promise<void> {
    const subject = this.subjects.get(id);
    if (!subject) return;
    if (subject.looking) {
      subject.again = true;
      return;
    }
    subject.looking = true;
    try {
      const state = await this.readSubject(subject.workspaceId, id);
      if (state) for (const take of subject.takers) take(state);
    } catch (error) {
      this.log.warn({ err: error, subject: id }, 'a state could not be read for those who follow it');
    } finally {
      subject.looking = false;
      if (subject.again && !this.stopped) {
        subject.again = false;
        this.requestRefresh(id);
      }
    }
  }

  private onPublished(workspaceId: string, to: number): void {
    const feed = this.feeds.get(workspaceId);
    if (feed && feed.position < to) void this.deliver(workspaceId, feed);
  }

  /** Hands out what the feed holds after its position here: an announcement that was lost is made good. */
  private async deliver(workspaceId: string, feed: FollowedFeed): Promise<void> {
    feed.again = true;
    if (feed.reading) return;
    feed.reading = true;
    try {
      await feed.ready;
      while (feed.again && this.feeds.get(workspaceId) === feed && !this.stopped) {
        feed.again = false;
        const facts = await this.feed.listAfter(workspaceId, feed.position, page);
        for (const fact of facts) {
          feed.position = fact.position;
          for (const take of feed.takers) void take(fact);
          this.requestRefresh(fact.subject);
        }
        feed.again ||= facts.length === page;
      }
    } catch (error) {
      // The clock tries again.
      this.log.warn({ err: error, workspaceId }, 'facts could not be read for those who follow them');
    } finally {
      feed.reading = false;
    }
  }

  /** Announcements and signals may have been missed: reads everything that someone here follows. */
  private refreshAll(): void {
    void this.reauthenticateAll();
    for (const id of this.subjects.keys()) this.refreshes.push(id, null);
    for (const [workspaceId, feed] of this.feeds) void this.deliver(workspaceId, feed);
  }

  private async pollFeeds(): Promise<void> {
    if (this.feeds.size === 0) return;
    try {
      const heads = await this.feed.getHeads([...this.feeds.keys()]);
      for (const [workspaceId, head] of heads) this.onPublished(workspaceId, head);
    } catch {
      // Said elsewhere; the next tick looks again.
    }
  }

  private endRevoked(keyId: string): void {
    for (const connection of this.connections) if (connection.keyId === keyId) connection.end();
  }

  /** Word of a revoked key may have been lost. */
  private async reauthenticateAll(): Promise<void> {
    for (const connection of [...this.connections]) {
      await connection.reauthenticate().catch((error: unknown) => {
        if (error instanceof Unauthenticated) connection.end();
      });
    }
  }
}
