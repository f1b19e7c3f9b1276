/** Outbound requests on real sockets: which addresses they connect to, and how they handle hostile responses. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { parseAllowedHosts, createOutbound, type Outbound, type OutboundRequest } from '#outbound';
import { eventually } from '../../support/eventually.ts';

const opened: { close(): unknown }[] = [];
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
});

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function receiver(handle: (request: IncomingMessage, response: ServerResponse) => void) {
  const hits: string[] = [];
  const server = createServer((request, response) => {
    hits.push(request.headers.host ?? '');
    handle(request, response);
  });
  const port = await listen(server);
  opened.push({
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  });
  return { port, hits };
}

/** A TCP server, for responses that an HTTP server cannot send. */
async function rawReceiver(serve: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket.on('error', () => undefined).once('close', () => sockets.delete(socket)));
    socket.once('data', () => serve(socket));
  });
  opened.push({
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  });
  return listen(server);
}

function outbound(over: Partial<Parameters<typeof createOutbound>[0]> = {}): Outbound {
  const created = createOutbound({
    schemes: ['https'],
    ports: [443],
    allowHosts: parseAllowedHosts(['127.0.0.1', 'receiver.test']),
    resolveAllowed: async () => ['127.0.0.1'],
    ...over,
  });
  opened.push(created);
  return created;
}

const request = (url: string, over: Partial<OutboundRequest> = {}): OutboundRequest => ({
  url,
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: '{}',
  timeoutMs: 5_000,
  maxBytes: 20_000,
  ...over,
});

test('a request to an allowed name connects to its address and sends the name', async () => {
  const { port, hits } = await receiver((_, response) => response.setHeader('x-a', 'b').end('ok'));
  const response = await outbound().send(request(`http://receiver.test:${port}/hook`));
  expect(response).toMatchObject({ status: 200, headers: { 'x-a': 'b' }, isTruncated: false });
  expect(response.body.toString()).toBe('ok');
  expect(hits).toEqual([`receiver.test:${port}`]);
});

test('a redirect is returned, not followed', async () => {
  const inside = await receiver((_, response) => response.end());
  const { port } = await receiver((_, response) =>
    response.writeHead(302, { location: `http://127.0.0.1:${inside.port}/` }).end(),
  );
  expect(await outbound().send(request(`http://127.0.0.1:${port}/`))).toMatchObject({ status: 302 });
  expect(inside.hits).toEqual([]);
});

test('DNS rebinding has no effect: each connection checks the address that it uses', async () => {
  const inside = await receiver((_, response) => response.end());
  let lookups = 0;
  const client = outbound({
    ports: [443, inside.port],
    schemes: ['http'],
    // Public at registration, internal for every request.
    resolve: async () => (lookups++ === 0 ? ['93.184.216.34'] : ['127.0.0.1']),
  });
  await client.checkUrl(`http://rebinding.example:${inside.port}/`);
  for (let times = 0; times < 3; times++) {
    const sent = client.send(request(`http://rebinding.example:${inside.port}/`));
    await expect(sent).rejects.toMatchObject({ code: 'url_address_refused' });
  }
  expect(lookups).toBe(4);
  expect(inside.hits).toEqual([]);
});

test('a host with one internal address among public ones is refused', async () => {
  const client = outbound({ resolve: async () => ['93.184.216.34', '10.0.0.1'] });
  await expect(client.send(request('https://mixed.example/'))).rejects.toMatchObject({
    code: 'url_address_refused',
  });
});

test('an address in the URL is checked without a DNS look-up', async () => {
  const client = outbound({
    resolve: () => {
      throw new Error('looked up');
    },
  });
  for (const url of ['https://2130706434/', 'https://[::ffff:7f00:2]/', 'https://169.254.169.254/']) {
    await expect(client.send(request(url))).rejects.toMatchObject({ code: 'url_address_refused' });
    await expect(client.checkUrl(url)).rejects.toMatchObject({ code: 'url_address_refused' });
  }
});

test('when DNS does not answer, a request fails, and the check at registration passes', async () => {
  const client = outbound({
    resolve: () => Promise.reject(Object.assign(new Error('timeout'), { code: 'ETIMEOUT' })),
  });
  await client.checkUrl('https://silent.example/');
  await expect(client.send(request('https://silent.example/'))).rejects.toMatchObject({ code: 'dns_failed' });
});

test('a response of 100 MB is read up to the limit, and its connection is closed', async () => {
  let closed = false;
  const port = await rawReceiver((socket) => {
    const chunk = Buffer.alloc(65_536, 'x');
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${100 * 2 ** 20}\r\n\r\n`);
    const write = () => {
      while (!socket.destroyed && socket.write(chunk));
    };
    socket.on('drain', write).once('close', () => (closed = true));
    write();
  });
  const response = await outbound().send(request(`http://127.0.0.1:${port}/`));
  expect(response).toMatchObject({ status: 200, isTruncated: true });
  expect(response.body).toHaveLength(20_000);
  await eventually('the connection is closed', () => closed);
});

test.each([
  ['no response', () => undefined, 'timeout'],
  [
    'headers, a byte at a time',
    (socket: Socket) => drip(socket, 'HTTP/1.1 200 OK\r\nx-slow: yes\r\n\r\n'),
    'timeout',
  ],
  [
    'a body, a byte at a time',
    (socket: Socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n');
      drip(socket, 'x'.repeat(1_000));
    },
    'timeout',
  ],
  ['a reset', (socket: Socket) => socket.resetAndDestroy(), 'connection_reset'],
  [
    'a reset within the body',
    (socket: Socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf', () => socket.resetAndDestroy());
    },
    'connection_reset',
  ],
  [
    'a response that is not HTTP',
    (socket: Socket) => socket.end('SSH-2.0-OpenSSH_9.9\r\n'),
    'answer_invalid',
  ],
  [
    'endless headers',
    (socket: Socket) => socket.write(`HTTP/1.1 200 OK\r\n${`x-h: ${'y'.repeat(100)}\r\n`.repeat(1_000)}`),
    'answer_invalid',
  ],
])('%s', async (_, serve, code) => {
  const port = await rawReceiver(serve);
  const sent = outbound().send(request(`http://127.0.0.1:${port}/`, { timeoutMs: 400 }));
  await expect(sent).rejects.toMatchObject({ code });
});

function drip(socket: Socket, text: string): void {
  let at = 0;
  const timer = setInterval(() => {
    if (socket.destroyed || at === text.length) clearInterval(timer);
    else socket.write(text[at++]!);
  }, 50);
}

test('a port without a listener', async () => {
  const server = createTcpServer();
  const port = await listen(server);
  server.close();
  await once(server, 'close');
  await expect(outbound().send(request(`http://127.0.0.1:${port}/`))).rejects.toMatchObject({
    code: 'connection_refused',
  });
});

test('a request that hangs does not delay other requests to the same host', async () => {
  const { port } = await receiver((message, response) => {
    if (message.url !== '/hang') response.end();
  });
  const client = outbound();
  const hanging = client
    .send(request(`http://127.0.0.1:${port}/hang`, { timeoutMs: 3_000 }))
    .catch(() => 'timed out');
  for (let n = 0; n < 5; n++) {
    expect(await client.send(request(`http://127.0.0.1:${port}/`, { timeoutMs: 1_500 }))).toMatchObject({
      status: 200,
    });
  }
  expect(await hanging).toBe('timed out');
});
