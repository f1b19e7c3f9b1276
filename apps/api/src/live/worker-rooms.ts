/**
 * The rooms of the sockets that follow the workers. Workers publish nothing when their state changes (they send a
 * heartbeat every two seconds), so while a room here has a socket the workers are read once a second for all rooms.
 */
import type { WorkersState } from '@millrace/contracts';
import type { Logger } from '#telemetry';
import type { ReadWorkers } from './read-workers.ts';
import { workersRoom, type LiveServer, type LiveSocket, type Viewer } from './rooms.ts';

const readEveryMs = 1_000;

export class WorkerRooms {
  /** Who looks into each room, and the state that was last sent there. */
  private readonly rooms = new Map<string, { readonly viewer: Viewer; sent: string }>();
  private timer: NodeJS.Timeout | undefined;
  private isReading = false;

  constructor(
    private readonly server: LiveServer,
    private readonly read: ReadWorkers,
    private readonly log: Logger,
  ) {}

  /** @returns the state, read after the socket is in its room, so that no change is missed. @throws Unavailable */
  async enter(socket: LiveSocket): Promise<WorkersState> {
    const { workspaceId, scopes } = socket.data.caller;
    const viewer = { workspaceId, scopes };
    const room = workersRoom(viewer);
    if (socket.connected) {
      if (!this.rooms.has(room)) this.rooms.set(room, { viewer, sent: '' });
      this.timer ??= setInterval(() => void this.readAndSend(), readEveryMs);
      void socket.join(room);
    }
    return (await this.read())(viewer);
  }

  leave(socket: LiveSocket): void {
    void socket.leave(workersRoom(socket.data.caller));
  }

  /** Called when a room is empty. */
  close(room: string): void {
    if (this.rooms.delete(room) && this.rooms.size === 0) this.stop();
  }

  stop(): void {
    clearInterval(this.timer);
    this.timer = undefined;
  }

  /** Volatile: a slow client gets the next state instead. */
  private async readAndSend(): Promise<void> {
    if (this.isReading) return;
    this.isReading = true;
    try {
      const buildState = await this.read();
      for (const [name, room] of this.rooms) {
        const state = buildState(room.viewer);
        const text = JSON.stringify(state.data);
        if (text === room.sent) continue;
        room.sent = text;
        this.server.to(name).volatile.emit('state', state);
      }
    } catch (error) {
      this.log.warn({ err: error }, 'could not read the workers for the sockets that follow them');
    } finally {
      this.isReading = false;
    }
  }
}
