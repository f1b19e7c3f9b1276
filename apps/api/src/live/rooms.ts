/** The names of Socket.IO's rooms, which only the server chooses, and the types of a socket's data. */
import type { Server, Socket } from 'socket.io';
import type { ClientToServer, ServerToClient } from '@millrace/contracts';
import { hasPermission, type Caller } from '../access/caller.ts';
import type { Following } from './followed-feeds.ts';

/** Sockets that follow a batch or a task. */
export const subjectRoom = (id: string) => `subject:${id}`;
/** Sockets that follow every event of their workspace. */
export const eventsRoom = (workspaceId: string) => `events:${workspaceId}`;
/** Every socket of a workspace: while it is not empty, this process follows the workspace's feed. */
export const workspaceRoom = (workspaceId: string) => `workspace:${workspaceId}`;

/** Sockets that follow the workers: one room for each different view of them. */
export const workersRoom = (viewer: Viewer) =>
  hasPermission(viewer, 'workers:inspect') ? 'workers:of:*' : `workers:of:${viewer.workspaceId}`;

/** Decides how much of the workers is shown. */
export type Viewer = Pick<Caller, 'workspaceId' | 'scopes'>;

export interface SocketData {
  caller: Caller;
  /** Batches and tasks that the socket follows, those being looked up included. */
  subjects: Set<string>;
  /** The workspace's events, if the socket follows them. */
  events: Following | null;
  /** Messages that the socket may still send in this second. */
  budget: { left: number; until: number };
}

type None = Record<string, never>;
export type LiveServer = Server<ClientToServer, ServerToClient, None, SocketData>;
export type LiveSocket = Socket<ClientToServer, ServerToClient, None, SocketData>;
