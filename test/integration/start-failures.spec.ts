/** What a process prints when a service cannot be used: one line with the setting, the server and what to do. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Redis } from 'ioredis';
import { Database } from '#database';
import { assertQueueBackendUsable } from '#queues';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';

const repo = resolve(import.meta.dirname, '../..');
let database: TestDatabase;
let home: string;

beforeAll(async () => {
  database = await createDatabase();
  home = await mkdtemp(join(tmpdir(), 'millrace-start-'));
});
afterAll(async () => {
  await database.drop();
  await rm(home, { recursive: true, force: true });
});

const change = (url: string, changes: Partial<URL>) => Object.assign(new URL(url), changes).href;

/** A server that sends `answer` for each chunk it receives, or closes the connection. */
async function listen(answer: string | null): Promise<{ port: number; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('data', () => (answer === null ? socket.destroy() : socket.write(answer)));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      sockets.forEach((socket) => socket.destroy());
      await new Promise((done) => server.close(done));
    },
  };
}

async function getMessage(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown as Error,
  );
  expect(error).toMatchObject({ name: 'Unavailable' });
  expect(error!.message).not.toMatch(/hunter2|\n/);
  return error!.message;
}

describe('Postgres', () => {
  const connect = async (url: string) => {
    const connected = await Database.connect({ url, poolMax: 1, applicationName: 'test' });
    await connected.close();
  };

  test.each([
    [
      'a missing database',
      () => change(database.url, { pathname: '/nowhere' }),
      /has no database 'nowhere'\. Create it/,
    ],
    [
      'a missing role',
      () => change(database.url, { username: 'stranger', password: 'hunter2' }),
      /(the password of the role 'stranger', or has no such role|has no role 'stranger')/,
    ],
    [
      'a closed port',
      () => change(database.url, { port: '1' }),
      /:1 does not listen there\. Start the server/,
    ],
    ['an unknown host', () => change(database.url, { hostname: 'no.such.host.invalid' }), /cannot be found/],
    [
      'TLS where there is none',
      () => `${database.url}?sslmode=require`,
      /does not speak TLS\. Enable it on the server/,
    ],
  ])('%s', async (_, getUrl, expected) => {
    const message = await getMessage(connect(getUrl()));
    expect(message).toMatch(/^DATABASE_URL: Postgres at [\w.:-]+ /);
    expect(message).toMatch(expected);
  });

  test.each([null, 'HTTP/1.1 400 Bad Request\r\n\r\n'])(
    'a server that is no Postgres: %p',
    async (answer) => {
      const server = await listen(answer);
      const message = await getMessage(connect(`postgres://a:hunter2@127.0.0.1:${server.port}/x`));
      expect(message).toMatch(/(cannot be used|does not answer).*that a Postgres/);
      await server.close();
    },
  );
});

describe('Redis', () => {
  let redis: TestRedis | null;
  let locked: TestRedis | null;
  beforeAll(async () => {
    redis = await startRedis();
    locked = await startRedis({ password: 'right' });
  });
  afterAll(async () => {
    await redis?.dispose();
    await locked?.dispose();
  });
  const check = (url: string) => assertQueueBackendUsable({ kind: 'redis', url });

  test('one that can be used has no warning, and leaves no connection', async () => {
    if (redis) expect(await check(redis.url)).toEqual([]);
  });

  test('one that evicts: one warning, with what to do', async () => {
    if (!redis) return;
    const connection = new Redis(redis.url);
    await connection.config('SET', 'maxmemory-policy', 'allkeys-lru');
    expect(await check(redis.url)).toEqual([
      expect.stringMatching(
        /^REDIS_URL: Redis at [\w.:]+ evicts keys.*allkeys-lru.*Set its maxmemory-policy to noeviction\.$/,
      ),
    ]);
    await connection.config('SET', 'maxmemory-policy', 'noeviction');
    connection.disconnect();
  });

  test.each([
    ['no password', (url: URL) => Object.assign(url, { password: '' }), /asks for a password/],
    [
      'a wrong password',
      (url: URL) => Object.assign(url, { password: 'hunter2' }),
      /refuses the user or the password/,
    ],
    [
      'a wrong database',
      (url: URL) => Object.assign(url, { pathname: '/99' }),
      /has no database of that number/,
    ],
    ['a closed port', (url: URL) => Object.assign(url, { port: '1' }), /:1 does not listen there\. Start/],
    [
      'an unknown host',
      (url: URL) => Object.assign(url, { hostname: 'no.such.host.invalid' }),
      /cannot be found/,
    ],
    [
      'TLS where there is none',
      (url: URL) => new URL(url.href.replace('redis:', 'rediss:')),
      /If it does not speak TLS, write redis:\/\/ instead/,
    ],
  ])('%s', async (_, changeUrl, expected) => {
    if (!locked) return;
    const message = await getMessage(check(changeUrl(new URL(locked.url)).href));
    expect(message).toMatch(/^REDIS_URL: Redis at [\w.:-]+ /);
    expect(message).toMatch(expected);
  });

  test.each([null, 'HTTP/1.1 400 Bad Request\r\n\r\n'])('a server that is no Redis: %p', async (answer) => {
    const server = await listen(answer);
    const message = await getMessage(check(`redis://:hunter2@127.0.0.1:${server.port}`));
    expect(message).toMatch(/cannot be used|closes the connection/);
    await server.close();
  });
});

describe('a process prints one line and ends', () => {
  async function run(program: string, env: Record<string, string>) {
    const args = [
      '--conditions=source',
      '--import',
      join(repo, 'test/support/typescript.mjs'),
      join(repo, program),
    ];
    const child = spawn(process.execPath, args, {
      cwd: repo,
      env: { PATH: process.env['PATH'], DATABASE_URL: database.url, MILLRACE_HOME: home, PORT: '0', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [text, errors] = ['', ''];
    child.stdout.on('data', (data: Buffer) => (text += data.toString()));
    child.stderr.on('data', (data: Buffer) => (errors += data.toString()));
    const [code] = (await once(child, 'close')) as [number];
    return { code, stdout: text, lines: errors.trim().split('\n') };
  }

  const programs = [
    'apps/api/src/migrate.ts',
    'apps/api/src/main.ts',
    'apps/worker/src/main.ts',
    'apps/api/src/new-key.ts',
  ];

  test.each(programs)('%s: the database is missing', async (program) => {
    const DATABASE_URL = change(database.url, { pathname: '/nowhere' });
    const { code, stdout, lines } = await run(program, { DATABASE_URL });
    expect([code, stdout, lines.length]).toEqual([1, '', 1]);
    expect(lines[0]).toMatch(/^DATABASE_URL: Postgres at \S+ has no database 'nowhere'/);
  });

  test.each(programs.slice(0, 3))('%s: Redis does not listen', async (program) => {
    const { code, lines } = await run(program, { REDIS_URL: 'redis://:hunter2@127.0.0.1:1' });
    expect([code, lines]).toEqual([
      1,
      [expect.stringMatching(/^REDIS_URL: Redis at 127\.0\.0\.1:1 does not listen/)],
    ]);
  });

  test('a worker finds the file of PRICES missing', async () => {
    const { code, lines } = await run('apps/worker/src/main.ts', { PRICES: '/nope.json' });
    expect([code, lines.map((line) => line.trim())]).toEqual([
      78,
      [
        'Wrong settings:',
        'PRICES: the file /nope.json does not exist',
        expect.stringContaining('.env.example'),
      ],
    ]);
  });
});
