/** Receivers that misbehave, on plain sockets: an HTTP server would not send such responses. */
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';

export interface HostileReceiver {
  readonly url: string;
  readonly port: number;
  /** Number of requests received. */
  countRequests(): number;
  /** The most bytes that one response had when its connection closed. */
  getMaxBytesSent(): number;
  close(): Promise<void>;
}

/** @param serve called with the socket when a request arrives. */
export async function startHostileReceiver(serve: (socket: Socket) => void): Promise<HostileReceiver> {
  const sockets = new Set<Socket>();
  let [count, most] = [0, 0];
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      sockets.delete(socket);
      // Without the bytes that are still in the buffer.
      most = Math.max(most, socket.bytesWritten - socket.writableLength);
    });
    socket.once('data', () => {
      count++;
      serve(socket);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    port,
    countRequests: () => count,
    getMaxBytesSent: () => most,
    async close() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Sends one byte per second. */
export function sendSlowly(socket: Socket): void {
  let sent = 0;
  const text = 'HTTP/1.1 200 OK\r\nx-slow: yes\r\ncontent-length: 4\r\n\r\nslow';
  const timer = setInterval(() => {
    if (socket.destroyed || sent === text.length) clearInterval(timer);
    else socket.write(text[sent++]!);
  }, 1_000);
  timer.unref();
}

export const hugeBytes = 100 * 2 ** 20;

/** Sends 100 MB as fast as they are read. */
export function sendHugeBody(socket: Socket): void {
  const chunk = Buffer.alloc(65_536, 'x');
  socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${hugeBytes}\r\n\r\n`);
  const more = () => {
    while (!socket.destroyed && socket.write(chunk));
  };
  socket.on('drain', more);
  more();
}

export const resetConnection = (socket: Socket): void => void socket.resetAndDestroy();
export const sendNothing = (): void => {};
