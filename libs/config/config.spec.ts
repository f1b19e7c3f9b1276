import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { ConfigError, loadConfig } from './config.ts';
import { buildEnvExample } from './env-example.ts';
import { loadOrCreateSecret } from './local-secret.ts';
import { settings } from './settings/index.ts';

function listProblems(env: Record<string, string>): string[] {
  try {
    loadConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

test('without any setting, the embedded defaults apply', () => {
  const config = loadConfig({});
  expect(config).toMatchObject({ PORT: 3_000, queueBackend: 'postgres', WORKER_POOLS: ['local', 'remote'] });
  expect(isAbsolute(config.MILLRACE_HOME)).toBe(true);
  expect(Object.isFrozen(config)).toBe(true);
});

test('an empty value counts as unset, and other environment variables are ignored', () => {
  expect(loadConfig({ PORT: '', DATABASE_URL: '', HOME: '/x' })).toMatchObject({ PORT: 3_000 });
});

test('the queue is on Redis if REDIS_URL is set', () => {
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

test('all wrong settings are listed at once, by name', () => {
  const problems = listProblems(wrong);
  const named = problems.map((problem) => problem.split(/[.:]/, 1)[0]!);
  expect(new Set(named)).toEqual(new Set(Object.keys(wrong)));
});

test.each([
  [{ S3_ENDPOINT: 'http://x:9000' }, ['S3_BUCKET: not set, though S3_ENDPOINT is']],
  [{ S3_ACCESS_KEY_ID: 'hunter2' }, ['S3_SECRET_ACCESS_KEY: not set, though S3_ACCESS_KEY_ID is']],
  [{ S3_SECRET_ACCESS_KEY: 'hunter2' }, ['S3_ACCESS_KEY_ID: not set, though S3_SECRET_ACCESS_KEY is']],
  [{ S3_BUCKET: 'files' }, []],
])('settings that require each other: %p', (env, problems) => {
  expect(listProblems(env as Record<string, string>)).toEqual(problems);
});

test('the problems contain no values, because some are secret', () => {
  const text = listProblems(wrong).join('\n');
  expect(text).not.toContain('hunter2');
  expect(text).not.toContain('mysql');
});

test.each(Object.keys(wrong))('a wrong %s alone is reported', (name) => {
  expect(listProblems({ [name]: wrong[name]! })[0]).toMatch(new RegExp(`^${name}[.:]`));
});

test('.env.example has each setting with its description, and loading it gives the defaults', () => {
  const text = buildEnvExample();
  const env = Object.fromEntries(
    [...text.matchAll(/^#([A-Z0-9_]+)=(.*)$/gm)].map(([, name, value]) => [name!, value!]),
  );
  expect(Object.keys(env)).toEqual(Object.keys(settings.shape));
  expect(loadConfig(env)).toEqual(loadConfig({}));
  for (const schema of Object.values(settings.shape)) expect(text).toContain(`# ${schema.description}\n`);
});

test('the secret of the machine is created once, readable by its owner only', () => {
  const home = mkdtempSync(join(tmpdir(), 'millrace-config-'));
  try {
    const secret = loadOrCreateSecret(join(home, 'new'));
    expect(secret.length).toBeGreaterThanOrEqual(32);
    expect(loadOrCreateSecret(join(home, 'new'))).toBe(secret);
    expect(readFileSync(join(home, 'new', 'secret'), 'utf8').trim()).toBe(secret);
    expect(statSync(join(home, 'new', 'secret')).mode & 0o777).toBe(0o600);
  } finally {
    rmSync(home, { recursive: true });
  }
});
