/** A TCP proxy in front of a backend, to simulate network failures: refused connections and dropped packets. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

export interface TcpProxy {
  readonly port: number;
  /** Ends every connection and refuses new ones, as a stopped server does. */
  cut(): Promise<void>;
  /** Accepts connections again, on the same port. */
  restore(): Promise<void>;
  /** Drops all packets: old and new connections stay open, and nothing is forwarded. */
  dropPackets(): void;
  /** Forwards new connections. The old ones stay silent. */
  passNewConnections(): void;
  close(): Promise<void>;
}

export async function startTcpProxy(upstream: {
  readonly host: string;
  readonly port: number;
}): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let silent = false;
  let server: Server;

  const track = (socket: Socket): Socket => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    return socket;
  };
  const listen = async (port: number): Promise<void> => {
    server = createServer((client) => {
      track(client);
      if (silent) {
        client.pause();
        return;
      }
      const target = track(connect(upstream));
      client.pipe(target);
      target.pipe(client);
      client.on('close', () => target.destroy());
      target.on('close', () => client.destroy());
    });
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  };
  const cut = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  };

  await listen(0);
  const { port } = server!.address() as AddressInfo;
  return {
    port,
    cut,
    restore: () => listen(port),
    dropPackets() {
      silent = true;
      for (const socket of sockets) {
        socket.unpipe();
        socket.pause();
      }
    },
    passNewConnections() {
      silent = false;
    },
    close: cut,
  };
}
