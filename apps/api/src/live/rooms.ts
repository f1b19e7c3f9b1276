/** Rooms have names that only the server makes, and the types of what a socket carries. */
import type { Server, Socket } from 'socket.io';
import type { ClientToServer, ServerToClient } from '@millrace/contracts';
import type { Caller } from '#database';
import type { Following } from './live-feed.ts';

export const subjectRoom = (id: string) => `subject:${id}`;
/** Sockets that follow every fact of their workspace. */
export const eventsRoom = (workspaceId: string) => `facts:${workspaceId}`;
/** Every socket of a workspace: as long as one is there, its feed is followed. */
export const workspaceRoom = (workspaceId: string) => `workspace:${workspaceId}`;

/** Sockets of a workspace that follow the workers. */
export const workersRoom = (workspaceId: string) => `workers:${workspaceId}`;

/** Of whom it depends how much of the workers is shown. */
export type Viewer = Pick<Caller, 'workspaceId' | 'operatesInstance'>;

export interface SocketData extends Viewer {
  workspaceId: string;
  operatesInstance: boolean;
  keyId: string;
  /** Batches and tasks subscribed to, those being looked up included. */
  subjects: Set<string>;
  /** The workspace's facts, where they are followed. */
  events: Following | null;
  /** Messages still allowed in this second. */
  budget: { left: number; until: number };
}

type None = Record<string, never>;
export type LiveServer = Server<ClientToServer, ServerToClient, None, SocketData>;
export type LiveSocket = Socket<ClientToServer, ServerToClient, None, SocketData>;
