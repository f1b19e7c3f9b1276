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
  let balancer: Awaited<ReturnType<typeof startBalancer>>;
  let second: { readonly url: string };

  beforeAll(async () => {
    pages = createServer(({ url }, response) => {
      if (url === '/socket.io.js') createReadStream(client).pipe(response.writeHead(200, script));
      else response.writeHead(200, html).end(page);
    }).listen(0, '127.0.0.1');
    await once(pages, 'listening');
    platform = await startPlatform({ env: { CORS_ORIGINS: origin() } });
    second = await platform.addApi();
    balancer = await startBalancer([platform.url, second.url]);
  });
  afterAll(async () => {
    await browser.close();
    await balancer?.close();
    await platform?.stop();
    pages?.close();
  });
  const origin = () => `http://127.0.0.1:${(pages.address() as AddressInfo).port}`;

  test('a page shows the progress of a video, resumes after a kill -9 of its API process, and shows the end', async () => {
    const made = await platform.client.post<TaskObject>('/tasks', {
      body: {
        kind: 'text-to-video',
        model: 'sandbox/text-to-video',
        input: { prompt: 'A mill', seconds: '1' },
        metadata: { sandbox: JSON.stringify({ delay_ms: 20_000 }) },
      },
    });
    const shown = new URLSearchParams({ api: balancer.url, key: platform.apiKey, task: made.id });
    const tab = await browser.open(`${origin()}/#${shown.toString()}`);
    const readPage = () =>
      tab.evaluate<{ connects: number; errors: string[]; states: LiveState[] }>('window.seen');
    const tasks = async () => ((await readPage())?.states ?? []).map(({ data }) => data as TaskObject);
    const percents = async () => (await tasks()).map(({ progress }) => progress?.percent ?? 0);
    const waitUntilPage = (what: string, holds: () => Promise<boolean>) =>
      waitUntil(holds, { what: `the page ${what}`, withinMs: 90_000 });
    await waitUntilPage('shows progress', async () => (await percents()).some((percent) => percent > 0));

    const killed = once(platform.api.child, 'exit');
    platform.api.child.kill('SIGKILL');
    await killed;
    const atKill = (await percents()).at(-1)!;
    await waitUntilPage('is connected again', async () => (await readPage()).connects >= 2);
    await waitUntilPage('shows more progress', async () => (await percents()).at(-1)! > atKill);
    await waitUntilPage('shows the end', async () => (await tasks()).at(-1)?.status === 'succeeded');

    const all = await percents();
    expect(all).toEqual([...all].sort((a, b) => a - b));
    const sequences = (await readPage()).states.map(({ sequence }) => sequence);
    expect(sequences).toEqual([...sequences].sort((a, b) => a - b));
    expect(
      (await readPage()).errors.filter((text) => !/websocket error|xhr poll error|timeout/.test(text)),
    ).toEqual([]);
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

/** A load balancer: each connection goes to the first API process that accepts it. */
async function startBalancer(apis: readonly string[]) {
  const sockets = new Set<Socket>();
  const track = (socket: Socket) => {
    sockets.add(socket.on('close', () => sockets.delete(socket)));
    return socket;
  };
  const forward = (from: Socket, [api, ...others]: readonly string[]): void => {
    if (!api) return void from.destroy();
    const { hostname: host, port } = new URL(api);
    const to = track(connect({ host, port: Number(port) }));
    const tryNext = () => forward(from, others);
    to.once('error', tryNext);
    to.once('connect', () => {
      to.off('error', tryNext).on('error', () => from.destroy());
      to.on('close', () => from.destroy());
      from.on('close', () => to.destroy());
      from.pipe(to).pipe(from);
    });
  };
  const server = createTcpServer((from) => {
    track(from).on('error', () => undefined);
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
