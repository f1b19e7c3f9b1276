/**
 * The rooms of those who follow the workers, one a workspace, because of what runs each sees its own. Workers beat every
 * two seconds and announce nothing, so while somebody is in a room here they are looked at, for all rooms at once.
 */
import type { WorkersState } from '@millrace/contracts';
import type { Logger } from '#telemetry';
import { workersRoom, type LiveServer, type LiveSocket, type Viewer } from './rooms.ts';

/** Reads them once. @returns what each viewer is shown of them. */
export type ReadWorkers = () => Promise<(viewer: Viewer) => WorkersState>;
export const READ_WORKERS = Symbol('read workers');

const lookEveryMs = 1_000;

export class WorkerRooms {
  /** Who looks into each room, and what was told there last. */
  private readonly rooms = new Map<string, { readonly viewer: Viewer; told: string }>();
  private clock: NodeJS.Timeout | undefined;
  private looking = false;

  constructor(
    private readonly server: LiveServer,
    private readonly read: ReadWorkers,
    private readonly log: Logger,
  ) {}

  /** @returns the state, read after the room was entered: nothing falls in between. @throws Unavailable */
  async enter(socket: LiveSocket): Promise<WorkersState> {
    const { workspaceId, operatesInstance } = socket.data;
    const room = workersRoom(workspaceId);
    if (socket.connected) {
      if (!this.rooms.has(room))
        this.rooms.set(room, { viewer: { workspaceId, operatesInstance }, told: '' });
      this.clock ??= setInterval(() => void this.look(), lookEveryMs);
      void socket.join(room);
    }
    return (await this.read())(socket.data);
  }

  emptied(room: string): void {
    if (this.rooms.delete(room) && this.rooms.size === 0) this.stop();
  }

  stop(): void {
    clearInterval(this.clock);
    this.clock = undefined;
  }

  /** Volatile: a client that is slow to take it gets the next one instead. */
  private async look(): Promise<void> {
    if (this.looking) return;
    this.looking = true;
    try {
      const shownTo = await this.read();
      for (const [name, room] of this.rooms) {
        const state = shownTo(room.viewer);
        const text = JSON.stringify(state.data);
        if (text === room.told) continue;
        room.told = text;
        this.server.to(name).volatile.emit('state', state);
      }
    } catch (error) {
      this.log.warn({ err: error }, 'the workers could not be read for those who follow them');
    } finally {
      this.looking = false;
    }
  }
}
