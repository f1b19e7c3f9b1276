import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { ConfigError, loadConfig } from './config.ts';
import { envExample } from './env-example.ts';
import { ownSecret } from './own-secret.ts';
import { settings } from './settings.ts';

function problemsOf(env: Record<string, string>): string[] {
  try {
    loadConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

test('nothing set is a configuration: the embedded default', () => {
  const config = loadConfig({});
  expect(config).toMatchObject({ PORT: 3_000, queueBackend: 'postgres', WORKER_POOLS: ['local', 'remote'] });
  expect(isAbsolute(config.MILLRACE_HOME)).toBe(true);
  expect(Object.isFrozen(config)).toBe(true);
});

test('an empty value counts as unset, and what is not ours is left alone', () => {
  expect(loadConfig({ PORT: '', DATABASE_URL: '', HOME: '/x' })).toMatchObject({ PORT: 3_000 });
});

test('Redis is the queue where it is set', () => {
  expect(loadConfig({ REDIS_URL: 'redis://x:6379' }).queueBackend).toBe('redis');
});

test('lists are split', () => {
  const config = loadConfig({ WORKER_POOLS: 'local, gpu-a100', CORS_ORIGINS: 'https://a, https://b,' });
  expect(config).toMatchObject({
    WORKER_POOLS: ['local', 'gpu-a100'],
    CORS_ORIGINS: ['https://a', 'https://b'],
  });
});

const wrong: Record<string, string> = {
  PORT: '70000',
  PUBLIC_URL: 'ftp://host',
  DATABASE_URL: 'mysql://root:hunter2@host/db',
  REDIS_URL: 'not a url, hunter2',
  DATABASE_POOL: '1',
  S3_BUCKET: 'Not/a/bucket',
  S3_ENDPOINT: 's3://hunter2@host',
  S3_REGION: 'Europe!',
  S3_FORCE_PATH_STYLE: 'perhaps',
  S3_CHECKSUMS: 'md5',
  MILLRACE_SECRET: 'hunter2',
  WORKER_COUNT: '-1',
  WORKER_POOLS: 'Local',
  WORKER_SLOTS: '0',
  CHUNK_WINDOW: 'many',
  UPLOAD_MAX_BYTES: '1.5',
  BATCH_MAX_LINES: '0',
  LINE_MAX_BYTES: '1',
  LOG_LEVEL: 'loud',
  LOG_FORMAT: 'xml',
};

test('every wrong setting is listed at once, by name', () => {
  const problems = problemsOf(wrong);
  const named = problems.map((problem) => problem.split(/[.:]/, 1)[0]!);
  expect(new Set(named)).toEqual(new Set(Object.keys(wrong)));
});

test.each([
  [{ S3_ENDPOINT: 'http://x:9000' }, ['S3_BUCKET: not set, though S3_ENDPOINT is']],
  [{ S3_ACCESS_KEY_ID: 'hunter2' }, ['S3_SECRET_ACCESS_KEY: not set, though S3_ACCESS_KEY_ID is']],
  [{ S3_SECRET_ACCESS_KEY: 'hunter2' }, ['S3_ACCESS_KEY_ID: not set, though S3_SECRET_ACCESS_KEY is']],
  [{ S3_BUCKET: 'files' }, []],
])('settings that need each other: %p', (env, problems) => {
  expect(problemsOf(env as Record<string, string>)).toEqual(problems);
});

test('no value is repeated: some are secret', () => {
  const text = problemsOf(wrong).join('\n');
  expect(text).not.toContain('hunter2');
  expect(text).not.toContain('mysql');
});

test.each(Object.keys(wrong))('%s alone is found', (name) => {
  expect(problemsOf({ [name]: wrong[name]! })[0]).toMatch(new RegExp(`^${name}[.:]`));
});

test('.env.example names every setting with its meaning, and reading it gives the defaults', () => {
  const text = envExample();
  const env = Object.fromEntries(
    [...text.matchAll(/^#([A-Z0-9_]+)=(.*)$/gm)].map(([, name, value]) => [name!, value!]),
  );
  expect(Object.keys(env)).toEqual(Object.keys(settings.shape));
  expect(loadConfig(env)).toEqual(loadConfig({}));
  for (const schema of Object.values(settings.shape)) expect(text).toContain(`# ${schema.description}\n`);
});

test('the machine’s own secret is made once, for its owner only', () => {
  const home = mkdtempSync(join(tmpdir(), 'millrace-config-'));
  try {
    const secret = ownSecret(join(home, 'new'));
    expect(secret.length).toBeGreaterThanOrEqual(32);
    expect(ownSecret(join(home, 'new'))).toBe(secret);
    expect(readFileSync(join(home, 'new', 'secret'), 'utf8').trim()).toBe(secret);
    expect(statSync(join(home, 'new', 'secret')).mode & 0o777).toBe(0o600);
  } finally {
    rmSync(home, { recursive: true });
  }
});
