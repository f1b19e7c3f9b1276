/** Drops sockets whose clients read too slowly. */
import type { Logger } from '#telemetry';
import { SlowClientDetector } from '../http/slow-client.ts';
import type { LiveServer, LiveSocket } from './rooms.ts';

const checkEveryMs = 1_000;

/** The part of Engine.IO's connection that holds waiting data: packets for the transport, bytes in the WebSocket. */
interface Connection {
  readonly writeBuffer: readonly { readonly data?: unknown }[];
  readonly transport: { readonly socket?: { readonly bufferedAmount: number; terminate(): void } };
}

/** @returns stops the checks. */
export function dropSlowSockets(server: LiveServer, log: Logger): () => void {
  const detectors = new WeakMap<LiveSocket, SlowClientDetector>();
  const timer = setInterval(() => {
    for (const socket of server.sockets.sockets.values()) {
      const client = detectors.get(socket) ?? new SlowClientDetector();
      detectors.set(socket, client);
      if (!client.isTooSlow(countWaitingBytes(socket))) continue;
      log.info({ socket: socket.id }, 'dropped a socket whose client read too slowly; it can resume');
      drop(socket);
    }
  }, checkEveryMs);
  return () => clearInterval(timer);
}

const getConnection = (socket: LiveSocket) => socket.conn as unknown as Connection;

function countWaitingBytes(socket: LiveSocket): number {
  const { writeBuffer, transport } = getConnection(socket);
  let bytes = transport.socket?.bufferedAmount ?? 0;
  for (const { data } of writeBuffer) bytes += typeof data === 'string' ? data.length : 0;
  return bytes;
}

/** Cuts the connection: a closing packet would wait behind the data that the client does not read. */
function drop(socket: LiveSocket): void {
  const { transport } = getConnection(socket);
  if (transport.socket) transport.socket.terminate();
  else socket.disconnect(true);
}
