/** Socket.IO: authenticates a socket when it connects, and answers `subscribe` and `unsubscribe`. */
import { Inject, UseFilters, type OnModuleDestroy } from '@nestjs/common';
import {
  ConnectedSocket,
  MessageBody,
  SubscribeMessage as Message,
  WebSocketGateway,
  type OnGatewayConnection,
  type OnGatewayDisconnect,
  type OnGatewayInit,
} from '@nestjs/websockets';
import { subscribeMessage, type SubscribeAck } from '@millrace/contracts';
import type { Logger } from '#telemetry';
import { AUTHENTICATE, type Authenticate } from '../access/authenticate.ts';
import { assertPermission } from '../access/caller.ts';
import { Requires } from '../access/decorators.ts';
import { LOGGER } from '../infrastructure/tokens.ts';
import { dropSlowSockets } from './drop-slow-sockets.ts';
import { LiveFeed } from './live-feed.ts';
import { READ_SUBJECT, type ReadSubject } from './read-subject.ts';
import { READ_WORKERS, type ReadWorkers } from './read-workers.ts';
import { eventsRoom, workspaceRoom, type LiveServer, type LiveSocket } from './rooms.ts';
import { buildRefusal, SocketErrorFilter, toSocketError } from './socket-error.filter.ts';
import { SubjectRooms } from './subject-rooms.ts';
import { WorkerRooms } from './worker-rooms.ts';

const maxSubjects = 100;
const messagesPerSecond = 50;
const messageNames = new Set(['subscribe', 'unsubscribe']);

@WebSocketGateway()
@UseFilters(SocketErrorFilter)
export class LiveGateway
  implements
    OnGatewayInit<LiveServer>,
    OnGatewayConnection<LiveSocket>,
    OnGatewayDisconnect<LiveSocket>,
    OnModuleDestroy
{
  server: LiveServer;
  private subjects: SubjectRooms;
  private workers: WorkerRooms;
  private stopDropping = () => {};

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
      this.authenticateSocket(socket).then(
        () => next(),
        (error: unknown) => next(this.toConnectError(error)),
      );
    });
    this.subjects = new SubjectRooms(server, this.live);
    this.workers = new WorkerRooms(server, this.readWorkers, this.log);
    server.sockets.adapter.on('delete-room', (room: string) => {
      this.subjects.close(room);
      this.workers.close(room);
    });
    this.stopDropping = dropSlowSockets(server, this.log);
  }

  onModuleDestroy(): void {
    this.stopDropping();
    this.workers.stop();
  }

  handleConnection(socket: LiveSocket): void {
    const { workspaceId, keyId } = socket.data.caller;
    void socket.join(workspaceRoom(workspaceId));
    const remove = this.live.addConnection({
      keyId,
      reauthenticate: () => this.authenticateSocket(socket),
      end: () => socket.disconnect(true),
    });
    socket.once('disconnect', remove);
    socket.use((packet, next) => {
      const [event, ...args] = packet as [string, ...unknown[]];
      const answer = args.at(-1) as ((ack: SubscribeAck) => void) | undefined;
      if (!takeMessageBudget(socket)) {
        // A client that floods the server would not read an answer.
        socket.disconnect(true);
      } else if (messageNames.has(event)) {
        next();
      } else if (typeof answer === 'function') {
        answer(buildRefusal('unknown_message', 'Messages are `subscribe` and `unsubscribe`.'));
      }
    });
  }

  handleDisconnect(socket: LiveSocket): void {
    socket.data.events?.stop();
  }

  @Message('subscribe')
  @Requires('events:read')
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
    if ('workers' in message.data) {
      assertPermission(socket.data.caller, 'workers:read');
      return { ok: true, state: await this.workers.enter(socket) };
    }
    return 'workspace' in message.data
      ? this.followWorkspace(socket, message.data.after ?? null)
      : this.followSubject(socket, getSubjectId(message.data));
  }

  @Message('unsubscribe')
  @Requires('events:read')
  unsubscribe(@ConnectedSocket() socket: LiveSocket, @MessageBody() body: unknown): void {
    const message = subscribeMessage.safeParse(body);
    if (!message.success) return;
    if ('workspace' in message.data) {
      socket.data.events?.stop();
      socket.data.events = null;
      void socket.leave(eventsRoom(socket.data.caller.workspaceId));
    } else if ('workers' in message.data) {
      this.workers.leave(socket);
    } else this.subjects.leave(socket, getSubjectId(message.data));
  }

  /**
   * First checks that the subject is the caller's, then enters its room, then reads the state: so no other workspace
   * gets anything, and no change between the state and the first update is missed.
   */
  private async followSubject(socket: LiveSocket, id: string): Promise<SubscribeAck> {
    const { subjects, caller } = socket.data;
    const { workspaceId } = caller;
    const isNew = !subjects.has(id);
    if (isNew && subjects.size >= maxSubjects) {
      return buildRefusal(
        'too_many_subscriptions',
        `A connection can follow at most ${maxSubjects} batches and tasks.`,
      );
    }
    subjects.add(id);
    try {
      if (await this.readSubject(workspaceId, id)) {
        await this.subjects.followFeed(workspaceId);
        this.subjects.enter(socket, id);
        const state = await this.readSubject(workspaceId, id);
        if (state) return { ok: true, state };
      }
      this.subjects.leave(socket, id);
      return buildRefusal('not_found', 'No such batch or task.');
    } catch (error) {
      if (isNew) this.subjects.leave(socket, id);
      throw error;
    }
  }

  /** A socket that resumes gets the events that it missed before it joins the others, so that they stay in order. */
  private async followWorkspace(socket: LiveSocket, after: number | null): Promise<SubscribeAck> {
    const { data } = socket;
    const { workspaceId } = data.caller;
    data.events?.stop();
    const room = eventsRoom(workspaceId);
    // A socket in this room gets each event here, and not a second time in the room of its subject.
    void socket.join(room);
    try {
      const following = await this.live.followEvents(workspaceId, after, (event) => {
        socket.emit('event', event);
      });
      data.events = following;
      if (!socket.connected) following.stop();
      return { ok: true, position: following.position };
    } catch (error) {
      void socket.leave(room);
      throw error;
    }
  }

  /** @throws Unauthenticated, or Unavailable when the key could not be looked up. */
  private async authenticateSocket(socket: LiveSocket): Promise<void> {
    const { apiKey } = socket.handshake.auth as { apiKey?: unknown };
    socket.data.caller = await this.authenticate(typeof apiKey === 'string' ? apiKey : '');
    socket.data.subjects ??= new Set();
  }

  /** Socket.IO passes `data` to the client's `connect_error`. */
  private toConnectError(error: unknown): Error & { data: { code: string } } {
    const { code, message } = toSocketError(error, this.log);
    return Object.assign(new Error(message), { data: { code } });
  }
}

const getSubjectId = (message: { batch: string } | { task: string }) =>
  'batch' in message ? message.batch : message.task;

/** @returns whether the socket may send another message in this second. */
function takeMessageBudget({ data }: LiveSocket): boolean {
  const now = performance.now();
  if (!data.budget || now > data.budget.until) data.budget = { left: messagesPerSecond, until: now + 1_000 };
  return data.budget.left-- > 0;
}
