/** The rooms of the sockets that follow batches and tasks, and the feeds that this process follows for them. */
import type { EventObject } from '@millrace/contracts';
import type { Following } from './followed-feeds.ts';
import type { LiveFeed } from './live-feed.ts';
import { eventsRoom, subjectRoom, type LiveServer, type LiveSocket } from './rooms.ts';

export class SubjectRooms {
  /** By workspace: its feed, sent to the rooms of its subjects. */
  private readonly feeds = new Map<string, Promise<Following>>();
  /** By subject: stops following its state. */
  private readonly states = new Map<string, () => void>();

  constructor(
    private readonly server: LiveServer,
    private readonly live: LiveFeed,
  ) {}

  enter(socket: LiveSocket, id: string): void {
    const room = subjectRoom(id);
    if (!socket.connected) return;
    if (!this.states.has(id)) {
      const { workspaceId } = socket.data.caller;
      // Volatile: a slow client gets the next state instead.
      const stop = this.live.followState(workspaceId, id, (state) => {
        this.server.to(room).volatile.emit('state', state);
      });
      this.states.set(id, stop);
    }
    void socket.join(room);
  }

  leave(socket: LiveSocket, id: string): void {
    socket.data.subjects.delete(id);
    void socket.leave(subjectRoom(id));
  }

  /** Settles when every event published from now on reaches the room of its subject. */
  async followFeed(workspaceId: string): Promise<void> {
    let following = this.feeds.get(workspaceId);
    if (!following) {
      following = this.live.followEvents(workspaceId, null, (event: EventObject) => {
        this.server.to(subjectRoom(event.subject)).except(eventsRoom(workspaceId)).emit('event', event);
      });
      this.feeds.set(workspaceId, following);
      following.catch(() => this.feeds.delete(workspaceId));
    }
    await following;
  }

  /** Called when a room is empty. */
  close(room: string): void {
    const [kind, id = ''] = room.split(':', 2);
    if (kind === 'subject') {
      this.states.get(id)?.();
      this.states.delete(id);
    } else if (kind === 'workspace') {
      void this.feeds
        .get(id)
        ?.then((following) => following.stop())
        .catch(() => undefined);
      this.feeds.delete(id);
    }
  }
}
