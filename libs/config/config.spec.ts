import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { listFileProblems } from './check-files.ts';
import { ConfigError } from './config-error.ts';
import { loadConfig } from './config.ts';
import { buildEnvExample } from './env-example.ts';
import { loadOrCreateSecret } from './local-secret.ts';
import { isBlockedPort } from './settings/blocked-ports.ts';
import { settings } from './settings/index.ts';
import { findUnknownSettings } from './unknown-settings.ts';

function listProblems(env: Record<string, string>): readonly string[] {
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
  const named = problems.map((problem) => problem.split(':', 1)[0]!);
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

test('the problems contain no values that may be secret', () => {
  const text = listProblems(wrong).join('\n');
  expect(text).not.toContain('hunter2');
  expect(text).not.toContain('mysql');
});

test.each(Object.keys(wrong))('a wrong %s alone is found', (name) => {
  expect(listProblems({ [name]: wrong[name]! })[0]).toMatch(new RegExp(`^${name}:`));
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

test.each([
  [{ WORKER_COUNT: 'abc' }, "WORKER_COUNT: must be a whole number from 0 to 256, not 'abc'"],
  [{ WORKER_SLOTS: '0' }, "WORKER_SLOTS: must be a whole number from 1 to 256, not '0'"],
  [{ PORT: '3000.5' }, "PORT: must be a whole number from 0 to 65535, not '3000.5'"],
  [{ PORT: '0x10' }, "PORT: must be a whole number from 0 to 65535, not '0x10'"],
  [
    { DATABASE_POOL: '9'.repeat(60) },
    `DATABASE_POOL: must be a whole number from 2 to 100, not '${'9'.repeat(40)}…'`,
  ],
  [{ LOG_LEVEL: 'loud' }, "LOG_LEVEL: must be one of debug, info, warn, error, silent, not 'loud'"],
  [{ MODELS_EVICT: 'perhaps' }, "MODELS_EVICT: must be true or false, not 'perhaps'"],
  [{ HOST: ' ' }, 'HOST: must not be blank'],
  [{ WORKER_POOLS: 'Local' }, 'WORKER_POOLS: pools are named like local or gpu-a100'],
])('the problem of %p says what is allowed', (env, problem) => {
  expect(listProblems(env as Record<string, string>)).toEqual([problem]);
});

test.each(['https://app.example.com/', 'app.example.com', 'https://a/b'])(
  'CORS_ORIGINS=%s would match no page, so it is refused',
  (CORS_ORIGINS) => {
    expect(listProblems({ CORS_ORIGINS })).toEqual([
      expect.stringMatching(/^CORS_ORIGINS: origins are written like/),
    ]);
  },
);

describe('ports that the Fetch standard blocks', () => {
  test.each([1, 22, 2049, 4190, 5060, 6000, 6667, 10_080])('PORT=%i is refused with the reason', (port) => {
    expect(listProblems({ PORT: String(port) })).toEqual([
      expect.stringMatching(new RegExp(`^PORT: must not be port ${port}: the Fetch standard blocks it`)),
    ]);
  });

  test.each(['0', '80', '3000', '4142', '8080', '65535'])('PORT=%s is accepted', (PORT) => {
    expect(listProblems({ PORT })).toEqual([]);
  });

  test.each([
    { PUBLIC_URL: 'http://host:6000' },
    { OLLAMA_URL: 'http://127.0.0.1:6666' },
    { OPENAI_COMPATIBLE: 'gpu=http://127.0.0.1:4190/v1' },
  ])('an address that fetch refuses is refused: %p', (env) => {
    const [name] = Object.keys(env);
    expect(listProblems(env as unknown as Record<string, string>)).toEqual([
      expect.stringMatching(new RegExp(`^${name}: .*must not be port`)),
    ]);
  });

  test("the list is fetch's own", async () => {
    for (let port = 1; port <= 65_535; port++) {
      if (!isBlockedPort(port)) continue;
      const error = await fetch(`http://127.0.0.1:${port}`).catch(({ cause }: Error) => cause);
      expect(error).toMatchObject({ message: 'bad port' });
    }
  });
});

describe('names that are no setting', () => {
  test.each([
    ['REDIS_URI', 'REDIS_URL'],
    ['S3_BUKET', 'S3_BUCKET'],
    ['DATABASE_ULR', 'DATABASE_URL'],
    ['WORKER_COUNTS', 'WORKER_COUNT'],
    ['MODEL_DIR', 'MODELS_DIR'],
    ['PROVIDER_CONCURENCY', 'PROVIDER_CONCURRENCY'],
    ['S3BUCKET', 'S3_BUCKET'],
    ['redis_url', 'REDIS_URL'],
    ['REDIS-URL', 'REDIS_URL'],
    ['MILLRACE_PORT', 'PORT'],
    ['MILLRACE_DATABASE_URL', 'DATABASE_URL'],
    ['MILRACE_HOME', 'MILLRACE_HOME'],
  ])('%s is refused and names %s', (name, nearest) => {
    expect(listProblems({ [name]: 'hunter2' })).toEqual([
      `${name}: no such setting. Did you mean ${nearest}?`,
    ]);
    // With the right name set, even to nothing, the operator has decided.
    expect(listProblems({ [name]: 'x', [nearest]: '' })).toEqual([]);
  });

  test.each([
    ['POSTGRES_URL', 'DATABASE_URL'],
    ['AWS_S3_BUCKET', 'S3_BUCKET'],
    ['S3_SECRET_KEY', 'S3_SECRET_ACCESS_KEY'],
    ['HUGGING_FACE_HUB_TOKEN', 'HF_TOKEN'],
  ])('%s may belong to another program: a warning names %s', (name, equivalent) => {
    expect(findUnknownSettings({ [name]: 'hunter2' })).toEqual({
      problems: [],
      warnings: [`${name} is ignored: Millrace reads ${equivalent}.`],
    });
    expect(findUnknownSettings({ [name]: 'x', [equivalent]: 'y' })).toEqual({ problems: [], warnings: [] });
  });

  test('the ordinary variables of an environment are ignored', () => {
    const names =
      'HOME HOST_NAME HOSTNAME HOSTS POST PORTS PATH PWD SHELL SHLVL TERM LANG LC_ALL USER LOGNAME TMPDIR EDITOR ' +
      'NODE_ENV NODE_OPTIONS NO_COLOR CI DEBUG GH_TOKEN GITHUB_TOKEN HF_HOME HF_HUB_CACHE OPENAI_API_KEY ' +
      'AWS_REGION AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_PROFILE AWS_ENDPOINT_URL_S3 OLLAMA_HOST OLLAMA_MODELS ' +
      'PGHOST PGUSER PGPASSWORD POSTGRES_USER POSTGRES_PASSWORD POSTGRES_DB DATABASE_HOST DATABASE_PORT ' +
      'DATABASE_NAME DATABASE_USER REDIS_HOST REDIS_PORT REDIS_PASSWORD REDIS_SERVICE_HOST POSTGRES_PORT_5432_TCP ' +
      'WORKER_SERVICE_PORT S3_SERVICE_HOST KUBERNETES_SERVICE_HOST npm_config_cache npm_lifecycle_event INIT_CWD ' +
      'CUDA_VISIBLE_DEVICES OMP_NUM_THREADS http_proxy HTTPS_PROXY SSL_CERT_FILE NODE_EXTRA_CA_CERTS ' +
      'MILLRACE_URL MILLRACE_API_KEY MILLRACE_TEST_POSTGRES_URL LOG_FILE LOG_DIR PUBLIC_PATH PUBLIC_IP';
    const env = Object.fromEntries(names.split(' ').map((name) => [name, 'x']));
    expect(findUnknownSettings(env)).toEqual({ problems: [], warnings: [] });
  });

  test('an unknown name that begins like a setting gives a warning in .env, and with MILLRACE_ anywhere', () => {
    expect(findUnknownSettings({ WORKER_MEMORY: '1', MILLRACE_MODE: 'x' })).toEqual({
      problems: [],
      warnings: [expect.stringMatching(/^MILLRACE_MODE is ignored/)],
    });
    expect(findUnknownSettings({ WORKER_MEMORY: '1', NODE_ENV: 'x' }, ['WORKER_MEMORY', 'NODE_ENV'])).toEqual(
      {
        problems: [],
        warnings: [expect.stringMatching(/^WORKER_MEMORY is ignored: there is no such setting/)],
      },
    );
  });
});

describe('what settings name outside of the environment', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-config-'));
    writeFileSync(join(folder, 'prices.json'), '{"openai/x": {"input": 1}}');
    writeFileSync(join(folder, 'secret'), 'short\n');
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test.each([
    [{ PRICES: '/nope.json' }, /^PRICES: the file \/nope.json does not exist$/],
    [{ PRICES: 'prices.json' }, /^PRICES: openai\/x: unknown name input/],
    [{ MODELS_DIR: '/nope' }, /^MODELS_DIR: the folder \/nope does not exist$/],
    [
      { OPENAI_COMPATIBLE: 'gpu=http://a/v1', OPENAI_COMPATIBLE_KEYS: 'gpu=@/nope' },
      /^OPENAI_COMPATIBLE_KEYS: the file of 'gpu' can't be read/,
    ],
    [
      { OPENAI_COMPATIBLE_KEYS: 'gpu=hunter2' },
      /^OPENAI_COMPATIBLE_KEYS: 'gpu' is not the name of a provider/,
    ],
    [
      { PROVIDER_LIMITS: 'opena/gpt-5=2' },
      /^PROVIDER_LIMITS: 'opena\/gpt-5' is not the name of a provider; the names are hf, ollama$/,
    ],
    [{ FREE_CREDIT_USD: 'huggingface=0.1' }, /^FREE_CREDIT_USD: 'huggingface' is not the name of a provider/],
    [{ MILLRACE_HOME: '.' }, /^MILLRACE_SECRET: not set, and the file .* is damaged/],
  ])('%p', (env: Record<string, string>, problem) => {
    const { PRICES, MILLRACE_HOME } = env;
    const inFolder = {
      ...env,
      ...(PRICES && { PRICES: resolve(folder, PRICES) }),
      MILLRACE_HOME: MILLRACE_HOME ? folder : '/nope',
    };
    expect(listFileProblems(loadConfig(inFolder))).toEqual([expect.stringMatching(problem)]);
  });
});
