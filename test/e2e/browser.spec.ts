/** A page in a real browser follows a video through two API processes while the one it is connected to is killed. */
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createRequire } from 'node:module';
import { connect, createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import type { LiveState, TaskObject } from '@millrace/contracts';
import { startBrowser } from '../support/browser.ts';
import { startPlatform, waitUntil, type Platform } from '../support/platform.ts';

const browser = await startBrowser();

if (browser === null) {
  test('NOT RUN: live progress in a browser (no Chromium)', () => expect(browser).toBeNull());
} else {
  let pages: Server;
  let platform: Platform;
  let gate: Awaited<ReturnType<typeof startGate>>;
  let second: { readonly url: string };

  beforeAll(async () => {
    pages = createServer(({ url }, response) => {
      if (url === '/socket.io.js') createReadStream(client).pipe(response.writeHead(200, script));
      else response.writeHead(200, html).end(page);
    }).listen(0, '127.0.0.1');
    await once(pages, 'listening');
    platform = await startPlatform({ env: { CORS_ORIGINS: origin() } });
    second = await platform.addApi();
    gate = await startGate([platform.url, second.url]);
  });
  afterAll(async () => {
    await browser.close();
    await gate?.close();
    await platform?.stop();
    pages?.close();
  });
  const origin = () => `http://127.0.0.1:${(pages.address() as AddressInfo).port}`;

  test('a page sees how far a video is, goes on after a kill -9 of its API, and sees the end', async () => {
    const made = await platform.client.post<TaskObject>('/tasks', {
      body: {
        kind: 'text-to-video',
        model: 'sandbox/text-to-video',
        input: { prompt: 'A mill', seconds: '1' },
        metadata: { sandbox: JSON.stringify({ delay_ms: 20_000 }) },
      },
    });
    const shown = new URLSearchParams({ api: gate.url, key: platform.apiKey, task: made.id });
    const tab = await browser.open(`${origin()}/#${shown.toString()}`);
    const look = () =>
      tab.evaluate<{ connects: number; errors: string[]; states: LiveState[] }>('window.seen');
    const tasks = async () => ((await look())?.states ?? []).map(({ data }) => data as TaskObject);
    const percents = async () => (await tasks()).map(({ progress }) => progress?.percent ?? 0);
    const sees = (what: string, holds: () => Promise<boolean>) =>
      waitUntil(holds, { what, withinMs: 90_000 });
    await sees('progress', async () => (await percents()).some((percent) => percent > 0));

    const killed = once(platform.api.child, 'exit');
    platform.api.child.kill('SIGKILL');
    await killed;
    const atKill = (await percents()).at(-1)!;
    await sees('the page to be connected again', async () => (await look()).connects >= 2);
    await sees('more progress', async () => (await percents()).at(-1)! > atKill);
    await sees('the end', async () => (await tasks()).at(-1)?.status === 'succeeded');

    const all = await percents();
    expect(all).toEqual([...all].sort((a, b) => a - b));
    const sequences = (await look()).states.map(({ sequence }) => sequence);
    expect(sequences).toEqual([...sequences].sort((a, b) => a - b));
    expect(
      (await look()).errors.filter((text) => !/websocket error|xhr poll error|timeout/.test(text)),
    ).toEqual([]);
    // The page shows what the API says.
    const { progress, status } = (await tasks()).at(-1)!;
    expect(progress).toMatchObject({ percent: 100 });
    expect(await tab.evaluate('document.body.innerText')).toContain(`${status} 100 %`);
  }, 240_000);
}

const client = join(
  dirname(createRequire(import.meta.url).resolve('socket.io-client/package.json')),
  'dist/socket.io.min.js',
);
const [html, script] = ['text/html', 'text/javascript'].map((type) => ({
  'content-type': `${type}; charset=utf-8`,
}));

const page = `<!doctype html><title>Progress</title><body><p id="state">waiting</p>
<script src="/socket.io.js"></script>
<script>
  const { api, key, task } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  window.seen = { connects: 0, errors: [], states: [] };
  const show = (state) => {
    seen.states.push(state);
    const { status, progress } = state.data;
    document.getElementById('state').textContent = status + ' ' + (progress?.percent ?? 0) + ' %';
  };
  const socket = io(api, { auth: { apiKey: key }, transports: ['websocket'], reconnectionDelayMax: 1000 });
  socket.on('state', show);
  socket.on('connect_error', ({ message }) => seen.errors.push(message));
  socket.on('connect', () => {
    seen.connects++;
    socket.emit('subscribe', { task }, ({ ok, state, error }) => ok ? show(state) : seen.errors.push(error.message));
  });
</script>`;

/** What stands before several API processes: each connection goes to the first that takes it. */
async function startGate(apis: readonly string[]) {
  const sockets = new Set<Socket>();
  const keep = (socket: Socket) => {
    sockets.add(socket.on('close', () => sockets.delete(socket)));
    return socket;
  };
  const forward = (from: Socket, [api, ...others]: readonly string[]): void => {
    if (!api) return void from.destroy();
    const { hostname: host, port } = new URL(api);
    const to = keep(connect({ host, port: Number(port) }));
    const refused = () => forward(from, others);
    to.once('error', refused);
    to.once('connect', () => {
      to.off('error', refused).on('error', () => from.destroy());
      to.on('close', () => from.destroy());
      from.on('close', () => to.destroy());
      from.pipe(to).pipe(from);
    });
  };
  const server = createTcpServer((from) => {
    keep(from).on('error', () => undefined);
    forward(from, apis);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      for (const socket of sockets) socket.destroy();
      const closed = once(server, 'close');
      server.close();
      await closed;
    },
  };
}
