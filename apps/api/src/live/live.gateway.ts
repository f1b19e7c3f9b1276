/** The sockets' edge: lets a key in, and lets it follow what its own workspace has. */
import { Inject, type OnModuleDestroy } from '@nestjs/common';
import {
  ConnectedSocket,
  MessageBody,
  SubscribeMessage as Message,
  WebSocketGateway,
  type OnGatewayConnection,
  type OnGatewayDisconnect,
  type OnGatewayInit,
} from '@nestjs/websockets';
import { subscribeMessage, type Fact, type SubscribeAck } from '@millrace/contracts';
import { Failure } from '#domain';
import type { Logger } from '#telemetry';
import { AUTHENTICATE, type Authenticate } from '../access/authenticate.ts';
import { LOGGER } from '../infrastructure/tokens.ts';
import { LiveFeed, type Following } from './live-feed.ts';
import { READ_SUBJECT, type ReadSubject } from './read-subject.ts';
import {
  eventsRoom,
  subjectRoom,
  workersRoom,
  workspaceRoom,
  type LiveServer,
  type LiveSocket,
} from './rooms.ts';
import { dropSlowSockets } from './drop-slow-sockets.ts';
import { READ_WORKERS, WorkerRooms, type ReadWorkers } from './worker-rooms.ts';

const maxSubjects = 100;
const messagesPerSecond = 50;
const known = new Set(['subscribe', 'unsubscribe']);

@WebSocketGateway()
export class LiveGateway
  implements
    OnGatewayInit<LiveServer>,
    OnGatewayConnection<LiveSocket>,
    OnGatewayDisconnect<LiveSocket>,
    OnModuleDestroy
{
  private server: LiveServer;
  private workers: WorkerRooms;
  private stopDropping = () => {};
  /** The feeds of workspaces that have a socket here, each told to all of its rooms at once. */
  private readonly feeds = new Map<string, Promise<Following>>();
  private readonly states = new Map<string, () => void>();

  constructor(
    @Inject(AUTHENTICATE) private readonly authenticate: Authenticate,
    @Inject(READ_SUBJECT) private readonly readSubject: ReadSubject,
    @Inject(READ_WORKERS) private readonly readWorkers: ReadWorkers,
    @Inject(LiveFeed) private readonly live: LiveFeed,
    @Inject(LOGGER) private readonly log: Logger,
  ) {}

  afterInit(server: LiveServer): void {
    this.server = server;
    server.use((socket, next) => {
      this.admit(socket).then(
        () => next(),
        (error: unknown) => next(this.refusal(error)),
      );
    });
    server.sockets.adapter.on('delete-room', (room: string) => this.emptied(room));
    this.stopDropping = dropSlowSockets(server, this.log);
    this.workers = new WorkerRooms(server, this.readWorkers, this.log);
  }

  onModuleDestroy(): void {
    this.stopDropping();
    this.workers.stop();
  }

  handleConnection(socket: LiveSocket): void {
    const { workspaceId, keyId } = socket.data;
    void socket.join(workspaceRoom(workspaceId));
    const left = this.live.addConnection({
      keyId,
      reauthenticate: () => this.admit(socket),
      end: () => socket.disconnect(true),
    });
    socket.once('disconnect', left);
    socket.use((packet, next) => {
      const [event, ...parts] = packet as [string, ...unknown[]];
      const ack = parts.at(-1) as ((answer: SubscribeAck) => void) | undefined;
      if (!takeMessageBudget(socket)) {
        // A client that floods gets nothing out of an answer either.
        socket.disconnect(true);
      } else if (known.has(event)) {
        next();
      } else if (typeof ack === 'function') {
        ack(buildRefusal('unknown_message', 'Messages are `subscribe` and `unsubscribe`.'));
      }
    });
  }

  handleDisconnect(socket: LiveSocket): void {
    socket.data.events?.stop();
  }

  @Message('subscribe')
  async subscribe(
    @ConnectedSocket() socket: LiveSocket,
    @MessageBody() body: unknown,
  ): Promise<SubscribeAck> {
    const message = subscribeMessage.safeParse(body);
    if (!message.success) {
      return buildRefusal(
        'invalid_request',
        'Send `{ "batch": "batch_…" }`, `{ "task": "task_…" }`, `{ "workspace": true }` or `{ "workers": true }`.',
      );
    }
    try {
      if ('workers' in message.data) return { ok: true, state: await this.workers.enter(socket) };
      return 'workspace' in message.data
        ? await this.followWorkspace(socket, message.data.after ?? null)
        : await this.followSubject(socket, getSubjectId(message.data));
    } catch (error) {
      const { message: text, data } = this.refusal(error);
      return buildRefusal(data.code, text);
    }
  }

  @Message('unsubscribe')
  unsubscribe(@ConnectedSocket() socket: LiveSocket, @MessageBody() body: unknown): void {
    const message = subscribeMessage.safeParse(body);
    if (!message.success) return;
    if ('workspace' in message.data) {
      socket.data.events?.stop();
      socket.data.events = null;
      void socket.leave(eventsRoom(socket.data.workspaceId));
    } else if ('workers' in message.data) {
      void socket.leave(workersRoom(socket.data.workspaceId));
    } else this.leave(socket, getSubjectId(message.data));
  }

  /**
   * Nothing may reach a stranger, so whether the subject is the caller's is asked before its room is entered; and no
   * change may fall between the state and what follows it, so the state is read after.
   */
  private async followSubject(socket: LiveSocket, id: string): Promise<SubscribeAck> {
    const { workspaceId, subjects } = socket.data;
    const isNew = !subjects.has(id);
    if (isNew && subjects.size >= maxSubjects) {
      return buildRefusal(
        'too_many_subscriptions',
        `A connection follows ${maxSubjects} batches and tasks at most.`,
      );
    }
    subjects.add(id);
    try {
      if (await this.readSubject(workspaceId, id)) {
        await this.followFeed(workspaceId);
        this.enter(socket, id);
        const state = await this.readSubject(workspaceId, id);
        if (state) return { ok: true, state };
      }
      this.leave(socket, id);
      return buildRefusal('not_found', 'No such batch or task.');
    } catch (error) {
      if (isNew) this.leave(socket, id);
      throw error;
    }
  }

  /** A socket that resumes is sent what it missed before it joins the others, so that all stays in order. */
  private async followWorkspace(socket: LiveSocket, after: number | null): Promise<SubscribeAck> {
    const { data } = socket;
    data.events?.stop();
    const room = eventsRoom(data.workspaceId);
    // Whoever is in this room is told by itself, and not with the rooms of its subjects again.
    void socket.join(room);
    try {
      const following = await this.live.followEvents(data.workspaceId, after, (fact) => {
        socket.emit('fact', fact);
      });
      data.events = following;
      if (!socket.connected) following.stop();
      return { ok: true, position: following.position };
    } catch (error) {
      void socket.leave(room);
      throw error;
    }
  }

  private enter(socket: LiveSocket, id: string): void {
    const room = subjectRoom(id);
    if (!socket.connected) return;
    if (!this.states.has(id)) {
      const { workspaceId } = socket.data;
      // Volatile: a client that is slow to take it gets the next one instead.
      const tell = this.live.followState(workspaceId, id, (state) => {
        this.server.to(room).volatile.emit('state', state);
      });
      this.states.set(id, tell);
    }
    void socket.join(room);
  }

  private leave(socket: LiveSocket, id: string): void {
    socket.data.subjects.delete(id);
    void socket.leave(subjectRoom(id));
  }

  /** Settles when facts stamped from now on will reach the rooms of their subjects. */
  private async followFeed(workspaceId: string): Promise<void> {
    let following = this.feeds.get(workspaceId);
    if (!following) {
      following = this.live.followEvents(workspaceId, null, (fact: Fact) => {
        this.server.to(subjectRoom(fact.subject)).except(eventsRoom(workspaceId)).emit('fact', fact);
      });
      this.feeds.set(workspaceId, following);
      following.catch(() => this.feeds.delete(workspaceId));
    }
    await following;
  }

  private emptied(room: string): void {
    const [kind, id = ''] = room.split(':', 2);
    if (room === subjectRoom(id)) {
      this.states.get(id)?.();
      this.states.delete(id);
    } else if (kind === 'workspace') {
      void this.feeds
        .get(id)
        ?.then((following) => following.stop())
        .catch(() => undefined);
      this.feeds.delete(id);
    } else this.workers.emptied(room);
  }

  /** @throws Unauthenticated, or Unavailable when the key could not be looked up. */
  private async admit(socket: LiveSocket): Promise<void> {
    const { apiKey } = socket.handshake.auth as { apiKey?: unknown };
    const caller = await this.authenticate(typeof apiKey === 'string' ? apiKey : '');
    Object.assign(socket.data, caller);
    socket.data.subjects ??= new Set();
  }

  /** What a client may know of an error; Socket.IO hands `data` on to its `connect_error`. */
  private refusal(error: unknown): Error & { data: { code: string } } {
    if (error instanceof Failure)
      return Object.assign(new Error(error.message), { data: { code: error.code } });
    this.log.error({ err: error }, 'a socket request failed');
    return Object.assign(new Error('The server failed. Try again shortly.'), {
      data: { code: 'server_error' },
    });
  }
}

const getSubjectId = (message: { batch: string } | { task: string }) =>
  'batch' in message ? message.batch : message.task;

function buildRefusal(code: string, message: string): SubscribeAck {
  return { ok: false, error: { code, message } };
}

/** @returns whether the socket may still speak in this second. */
function takeMessageBudget({ data }: LiveSocket): boolean {
  const now = performance.now();
  if (!data.budget || now > data.budget.until) data.budget = { left: messagesPerSecond, until: now + 1_000 };
  return data.budget.left-- > 0;
}
