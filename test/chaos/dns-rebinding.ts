/** The name and address of a DNS rebinding test: the name resolves to a public address first and to an internal one later. */
import { once } from 'node:events';
import { createServer } from 'node:net';

export const rebindingHost = 'rebinding.example';
export const internalAddress = '127.0.0.77';

/** Listens on port 443 of the internal address, if the system permits it. @returns a counter of connections. */
export async function listenOnInternalAddress(): Promise<{ count(): number | null; close(): Promise<void> }> {
  let count = 0;
  const server = createServer((socket) => {
    count++;
    socket.destroy();
  });
  server.listen(443, internalAddress);
  const isListening = await once(server, 'listening').then(
    () => true,
    () => false,
  );
  return {
    count: () => (isListening ? count : null),
    async close() {
      if (!isListening) return;
      const closed = once(server, 'close');
      server.close();
      await closed;
    },
  };
}
