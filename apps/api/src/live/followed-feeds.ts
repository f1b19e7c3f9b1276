/** The feeds that clients of this process follow. Each event goes to each of them once, in the feed's order. */
import type { EventObject } from '@millrace/contracts';
import type { FeedStore } from '#database';
import type { Logger } from '#telemetry';

const page = 500;

export interface Following {
  /** Position of the last event that was published before. */
  readonly position: number;
  stop(): void;
}

/** While older events are read, a returned promise is awaited, so that a slow client sets the pace. */
export type OnEvent = (event: EventObject) => void | Promise<void>;

class FollowedFeed {
  readonly listeners = new Set<OnEvent>();
  /** Listeners, and those that still read older events. */
  users = 0;
  /** The listeners have every event up to this position. */
  position = 0;
  isReading = false;
  readAgain = false;
  constructor(readonly ready: Promise<void>) {}
}

export class FollowedFeeds {
  private readonly feeds = new Map<string, FollowedFeed>();
  private isStopped = false;

  constructor(
    private readonly store: FeedStore,
    private readonly log: Logger,
    /** Called with the subject of each event that is delivered. */
    private readonly onSubject: (id: string) => void,
  ) {}

  stop(): void {
    this.isStopped = true;
  }

  /**
   * Delivers each event of the workspace once, in order: those after `after`, or those published from now on.
   * @returns once older events are delivered. @throws Unavailable
   */
  async follow(workspaceId: string, after: number | null, onEvent: OnEvent): Promise<Following> {
    const feed = this.feeds.get(workspaceId) ?? this.open(workspaceId);
    feed.users++;
    let isFollowing = true;
    const stop = () => {
      if (!isFollowing) return;
      isFollowing = false;
      feed.listeners.delete(onEvent);
      if (--feed.users === 0 && this.feeds.get(workspaceId) === feed) this.feeds.delete(workspaceId);
    };
    try {
      await feed.ready;
      let position = after ?? feed.position;
      // No await between the last comparison and `add`: an event in between would be missed.
      while (position < feed.position) {
        const events = await this.store.listAfter(workspaceId, position, page);
        for (const event of events) await onEvent(event);
        position = events.at(-1)?.position ?? feed.position;
      }
      feed.listeners.add(onEvent);
      return { position: feed.position, stop };
    } catch (error) {
      stop();
      throw error;
    }
  }

  /** Events up to `position` are published. */
  onPublished(workspaceId: string, position: number): void {
    const feed = this.feeds.get(workspaceId);
    if (feed && feed.position < position) void this.deliver(workspaceId, feed);
  }

  /** Reads every followed feed: messages about published events may have been dropped. */
  deliverAll(): void {
    for (const [workspaceId, feed] of this.feeds) void this.deliver(workspaceId, feed);
  }

  /** Looks for published events whose message never came. */
  async poll(): Promise<void> {
    if (this.feeds.size === 0) return;
    try {
      const heads = await this.store.getHeads([...this.feeds.keys()]);
      for (const [workspaceId, head] of heads) this.onPublished(workspaceId, head);
    } catch {
      // The database's failure is logged where it is noticed; the next poll repeats it.
    }
  }

  private open(workspaceId: string): FollowedFeed {
    const heads = this.store.getHeads([workspaceId]);
    const feed = new FollowedFeed(
      heads.then((found) => {
        feed.position = found.get(workspaceId) ?? 0;
      }),
    );
    this.feeds.set(workspaceId, feed);
    feed.ready.catch(() => {
      if (this.feeds.get(workspaceId) === feed) this.feeds.delete(workspaceId);
    });
    return feed;
  }

  /** Delivers what the feed has after the delivered position, so a dropped message is caught up by the next one. */
  private async deliver(workspaceId: string, feed: FollowedFeed): Promise<void> {
    feed.readAgain = true;
    if (feed.isReading) return;
    feed.isReading = true;
    try {
      await feed.ready;
      while (feed.readAgain && this.feeds.get(workspaceId) === feed && !this.isStopped) {
        feed.readAgain = false;
        const events = await this.store.listAfter(workspaceId, feed.position, page);
        for (const event of events) {
          feed.position = event.position;
          for (const listener of feed.listeners) void listener(event);
          this.onSubject(event.subject);
        }
        feed.readAgain ||= events.length === page;
      }
    } catch (error) {
      // The next poll repeats it.
      this.log.warn({ err: error, workspaceId }, 'could not read events for the clients that follow them');
    } finally {
      feed.isReading = false;
    }
  }
}
