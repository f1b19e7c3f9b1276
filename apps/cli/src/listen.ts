/**
 * `millrace listen`: forwards a workspace's events to a server on the developer's machine, which the API could not
 * reach. The events arrive over the socket, and are forwarded as signed webhooks.
 */
import { io, type Socket } from 'socket.io-client';
import {
  matchesEventType,
  type ClientToServer,
  type EventObject,
  type ServerToClient,
} from '@millrace/contracts';
import type { Credentials } from './credentials.ts';
import { forwardEvent } from './forward-event.ts';
import { createForwardLog } from './forward-log.ts';
import { UsageError } from './usage-error.ts';

export interface ListenOptions {
  readonly forwardTo: string;
  /** Event types, with `*` for any text. */
  readonly events: readonly string[];
  /** Signing secret of the forwarded webhooks. */
  readonly secret: string;
  /** Feed position after which to start. @default the current position */
  readonly after?: number | undefined;
}

/** Concurrent requests to the local server. Further events wait in order. */
const concurrency = 8;

/** Resolves on SIGINT or SIGTERM. @throws UsageError when the API rejects the connection. */
export async function listen(options: ListenOptions, { url, apiKey }: Credentials): Promise<void> {
  const log = createForwardLog(process.stdout);
  const queue = createForwardQueue(async (event) => log.show(await forwardEvent(event, options)));
  const socket: Socket<ServerToClient, ClientToServer> = io(url, { auth: { apiKey } });
  let position = options.after;
  const ended = new Promise<void>((resolve, reject) => {
    socket.on('connect_error', (error) => {
      // Socket.IO reconnects by itself, except when the server rejects the connection.
      if (!socket.active) reject(new UsageError(`${url} refuses the connection: ${error.message}`));
      else log.note(`${url} does not answer, trying again …`);
    });
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
  const subscribe = () => {
    socket.emit('subscribe', { workspace: true, after: position }, (answer) => {
      if (answer.ok) {
        if ('position' in answer) position = Math.max(position ?? 0, answer.position);
        log.note(`Listening at ${url} from event ${position}. Signing secret: ${options.secret}`);
      } else if (answer.error.code === 'feed_expired') {
        log.note(`${answer.error.message} Listening from now on.`);
        position = undefined;
        subscribe();
      } else {
        log.note(`${url}: ${answer.error.message}`);
      }
    });
  };
  socket.on('connect', subscribe);
  socket.on('disconnect', () => log.note('Disconnected. Missed events arrive after the reconnect.'));
  socket.on('event', (event) => {
    position = event.position;
    if (options.events.some((pattern) => matchesEventType(pattern, event.type))) queue.add(event);
  });
  try {
    await ended;
  } finally {
    socket.disconnect();
    log.end();
  }
}

/** Forwards events in order, up to `concurrency` at once. */
function createForwardQueue(forward: (event: EventObject) => Promise<void>) {
  const waiting: EventObject[] = [];
  let running = 0;
  const startNext = () => {
    while (running < concurrency && waiting.length > 0) {
      running++;
      void forward(waiting.shift()!).finally(() => {
        running--;
        startNext();
      });
    }
  };
  return {
    add(event: EventObject) {
      waiting.push(event);
      startNext();
    },
  };
}
