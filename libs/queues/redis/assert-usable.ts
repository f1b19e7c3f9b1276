/** Checks at a process's start that Redis can hold the queue. The messages are for the operator and contain no password. */
import { Redis } from 'ioredis';
import { Unavailable } from '#domain';
import { withTimeout } from '#async';

const timeoutMs = 5_000;
const oldestVersion = '6.2.0';

/**
 * @returns warnings: what works but can lose jobs
 * @throws Unavailable with one line: the setting, the server, what is wrong, and what to do
 */
export async function assertRedisUsable(url: string): Promise<string[]> {
  const server = formatServer(url);
  const connection = new Redis(url, {
    lazyConnect: true,
    connectTimeout: timeoutMs,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    enableReadyCheck: false,
  });
  let lastError: unknown;
  // ioredis reports why a connection failed as an event; the rejected call says only that it is closed.
  connection.on('error', (error) => (lastError = error));
  try {
    const info = await withTimeout(
      (async () => {
        await connection.connect();
        // ioredis selects the database of the URL itself, and ignores that it does not exist.
        if (connection.options.db) await connection.select(connection.options.db);
        return connection.info();
      })(),
      timeoutMs,
    );
    return checkInfo(info, server);
  } catch (error) {
    if (error instanceof Unavailable) throw error;
    throw buildUnavailable(server, describeFailure(lastError ?? error, url), lastError ?? error);
  } finally {
    connection.disconnect();
  }
}

function checkInfo(info: string, server: string): string[] {
  const read = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? '';
  const version = read('redis_version');
  if (version && isOlder(version, oldestVersion)) {
    throw buildUnavailable(server, [`is version ${version}`, 'Use Redis 6.2 or newer']);
  }
  if (read('cluster_enabled') === '1') {
    throw buildUnavailable(server, ['is a cluster', 'Use a single Redis, or one with replicas']);
  }
  if (read('role') === 'slave') {
    throw buildUnavailable(server, ['is a read-only replica', 'Set REDIS_URL to the primary server']);
  }
  const policy = read('maxmemory_policy');
  if (policy === '' || policy === 'noeviction') return [];
  return [
    `REDIS_URL: Redis at ${server} evicts keys when its memory is full (maxmemory-policy ${policy}), which loses jobs until they are ` +
      'found missing. Set its maxmemory-policy to noeviction.',
  ];
}

function isOlder(version: string, oldest: string): boolean {
  const [a, b] = [version, oldest].map((text) => text.split('.').map(Number));
  for (const [at, part] of b!.entries()) {
    const own = a![at] ?? 0;
    if (own !== part) return own < part;
  }
  return false;
}

/** @returns what is wrong, and what to do. */
function describeFailure(error: unknown, url: string): readonly [string, string] {
  const { name = '', code = '', message = '' } = (error ?? {}) as Partial<Error> & { code?: string };
  const text = `${name} ${code} ${message}`;
  if (/ENOTFOUND|EAI_AGAIN/.test(text)) {
    return ['cannot be found: the host name has no address', 'Correct the host'];
  }
  if (/ECONNREFUSED/.test(text)) {
    return ['does not listen there', 'Start the server, or correct the host and the port'];
  }
  if (/WRONGPASS|invalid password|without any password configured/.test(text)) {
    return ['refuses the user or the password', 'Correct them in the URL'];
  }
  if (/NOAUTH/.test(text)) return ['asks for a password', 'Add it to the URL: redis://:password@host:6379'];
  if (/NOPERM/.test(text)) {
    return [
      'does not allow its user a command',
      'Allow the user all commands and keys of the queue (ACL SETUSER)',
    ];
  }
  if (/DB index is out of range|invalid DB index/i.test(text)) {
    return ['has no database of that number', 'Correct the number at the end of the URL'];
  }
  if (/LOADING/.test(text)) return ['is still loading its data', 'Start again when it has loaded'];
  if (/CERT|certificate|SELF_SIGNED|UNABLE_TO_/i.test(text)) {
    return [
      'has a TLS certificate that is not trusted',
      'Set NODE_EXTRA_CA_CERTS to the file of its certificate authority',
    ];
  }
  if (/wrong version number|ERR_SSL|EPROTO|packet length too long/i.test(text)) {
    return ['does not speak TLS', 'Write redis:// instead of rediss://'];
  }
  if (/ECONNRESET|closed|EPIPE/i.test(text)) {
    return [
      'closes the connection',
      url.startsWith('rediss:')
        ? 'If it does not speak TLS, write redis:// instead of rediss://'
        : 'If it speaks only TLS, write rediss:// instead of redis://',
    ];
  }
  if (/time-?d? ?out/i.test(text)) {
    return [
      'does not answer within 5 s',
      url.startsWith('rediss:')
        ? 'If it does not speak TLS, write redis:// instead of rediss://; otherwise check the host, the port and the firewall'
        : 'Check the host, the port and the firewall',
    ];
  }
  return ['cannot be used', 'Check the host, the port, and that a Redis listens there'];
}

function buildUnavailable(server: string, [problem, remedy]: readonly [string, string], cause?: unknown) {
  return new Unavailable(`REDIS_URL: Redis at ${server} ${problem}. ${remedy}.`, {
    code: 'queue_unavailable',
    // ioredis's error holds the command, and that of a refused AUTH holds the password.
    cause: cause instanceof Error ? new Error(cause.name) : undefined,
  });
}

const defaultPort = '6379';

function formatServer(url: string): string {
  const { hostname = 'localhost', port = '' } = URL.parse(url) ?? {};
  return `${hostname || 'localhost'}:${port || defaultPort}`;
}
