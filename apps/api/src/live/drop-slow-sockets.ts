/** Sockets that take less than they are sent are dropped. */
import type { Logger } from '#telemetry';
import { SlowClientDetector } from '../http/slow-client.ts';
import type { LiveServer, LiveSocket } from './rooms.ts';

const lookEveryMs = 1_000;

/** Engine.IO's connection: packets that wait for the transport, and bytes that wait in the WebSocket. */
interface Connection {
  readonly writeBuffer: readonly { readonly data?: unknown }[];
  readonly transport: { readonly socket?: { readonly bufferedAmount: number; terminate(): void } };
}

/** @returns stops looking. */
export function dropSlowSockets(server: LiveServer, log: Logger): () => void {
  const backlogs = new WeakMap<LiveSocket, SlowClientDetector>();
  const clock = setInterval(() => {
    for (const socket of server.sockets.sockets.values()) {
      const backlog = backlogs.get(socket) ?? new SlowClientDetector();
      backlogs.set(socket, backlog);
      if (!backlog.isTooSlow(countWaitingBytes(socket))) continue;
      log.info({ socket: socket.id }, 'a socket that took too little was dropped; it can resume');
      drop(socket);
    }
  }, lookEveryMs);
  return () => clearInterval(clock);
}

const getConnection = (socket: LiveSocket) => socket.conn as unknown as Connection;

function countWaitingBytes(socket: LiveSocket): number {
  const { writeBuffer, transport } = getConnection(socket);
  let bytes = transport.socket?.bufferedAmount ?? 0;
  for (const { data } of writeBuffer) bytes += typeof data === 'string' ? data.length : 0;
  return bytes;
}

/** A good-bye would wait behind all that the client has not taken. */
function drop(socket: LiveSocket): void {
  const { transport } = getConnection(socket);
  if (transport.socket) transport.socket.terminate();
  else socket.disconnect(true);
}
