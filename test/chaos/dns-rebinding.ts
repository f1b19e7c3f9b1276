/** A name whose owner points it inwards once it was judged, and the internal address that must never hear of it. */
import { once } from 'node:events';
import { createServer } from 'node:net';

export const rebindingHost = 'turning.example';
export const internalAddress = '127.0.0.77';

/** Listens where the name leads to, if this machine lets it have the port. @returns counts connections. */
export async function listenOnInternalAddress(): Promise<{ count(): number | null; close(): Promise<void> }> {
  let count = 0;
  const server = createServer((socket) => {
    count++;
    socket.destroy();
  });
  server.listen(443, internalAddress);
  const hears = await once(server, 'listening').then(
    () => true,
    () => false,
  );
  return {
    count: () => (hears ? count : null),
    async close() {
      if (!hears) return;
      const closed = once(server, 'close');
      server.close();
      await closed;
    },
  };
}
