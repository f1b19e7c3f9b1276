/**
 * What clients follow live, over Socket.IO and as event streams alike. Facts are in `events.ts`; a state is a signal:
 * the newest one replaces those before it, and any but the last may be left out.
 */
import { z } from 'zod';
import type { BatchObject } from './batches.ts';
import type { Fact } from './events.ts';
import { idSchema } from './ids.ts';
import type { Page } from './pages.ts';
import type { TaskObject } from './tasks.ts';
import type { WorkerObject } from './workers.ts';

/** A batch or a task as it stands. */
export type LiveState = StateOf<'batch', BatchObject> | StateOf<'task', TaskObject>;

/** The workers as `GET /v1/workers` answers. Its subject is `workers`, its sequence the Unix ms at which they were read. */
export type WorkersState = StateOf<'workers', Page<WorkerObject>>;

interface StateOf<Type extends string, Data> {
  object: 'state';
  version: 1;
  type: Type;
  /** The id of what it is the state of; `workers` for those. */
  subject: string;
  /** Of the subject's newest fact that this state includes: facts up to it are no news. */
  sequence: number;
  data: Data;
}

/** Place in a workspace's feed; a follower names the last one that it has seen. */
const position = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

/** A client names a subject, its whole workspace, or the workers; rooms are the server's business. */
export const subscribeMessage = z.union([
  z.strictObject({ batch: idSchema('batch') }),
  z.strictObject({ task: idSchema('task') }),
  z.strictObject({ workspace: z.literal(true), after: position.optional() }),
  z.strictObject({ workers: z.literal(true) }),
]);
export type SubscribeMessage = z.output<typeof subscribeMessage>;

export type SubscribeAck =
  /** Of a batch or a task. */
  | { ok: true; state: LiveState }
  /** Of the workers. */
  | { ok: true; state: WorkersState }
  /** Of the workspace: facts after this position follow. */
  | { ok: true; position: number }
  | { ok: false; error: { code: string; message: string } };

export interface ServerToClient {
  /** What was subscribed to, as it stands. */
  state: (state: LiveState | WorkersState) => void;
  /** A fact about a subject, or of the workspace, that was subscribed to; each once, in the feed's order. */
  fact: (fact: Fact) => void;
}

export interface ClientToServer {
  subscribe: (message: z.input<typeof subscribeMessage>, ack: (answer: SubscribeAck) => void) => void;
  unsubscribe: (message: z.input<typeof subscribeMessage>) => void;
}

/** `GET /v1/events`, as a list and as a stream, and the streams of one subject. */
export const eventsQuery = z.object({
  after: position.optional(),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
});
export type EventsQuery = z.output<typeof eventsQuery>;
