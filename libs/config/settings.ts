/** Every setting there is: its name in the environment, its meaning, its default. `.env.example` is made from this. */
import { z } from 'zod';

const text = z.string().trim().min(1);
const count = (min: number, max: number) => z.coerce.number().int().min(min).max(max);
const url = (...protocols: string[]) =>
  text.refine(
    (value) => URL.canParse(value) && protocols.includes(new URL(value).protocol.slice(0, -1)),
    `must be a URL that begins with ${protocols.map((protocol) => `${protocol}://`).join(' or ')}`,
  );

/** Names that the providers of this house have, and an upstream of one's own may not. */
const taken = ['sandbox', 'local', 'hf', 'ollama'];

/** `name=calls` pairs, separated by commas; a name is a provider's or a model's, as callers write it. */
const limits = z
  .string()
  .default('')
  .transform((list, context) => {
    const pairs = new Map<string, number>();
    for (const pair of list.split(',').map((part) => part.trim())) {
      if (pair === '') continue;
      const [, name, calls] = /^([a-z][a-z0-9-]{0,30}(?:\/\S+)?)=(\d{1,4})$/.exec(pair) ?? [];
      if (!name || pairs.has(name) || !(Number(calls) >= 1 && Number(calls) <= 1_024)) {
        context.issues.push({
          code: 'custom',
          input: list,
          message:
            'must be provider=calls or provider/model=calls, separated by commas; each once, 1 to 1024 calls',
        });
        return z.NEVER;
      }
      pairs.set(name, Number(calls));
    }
    return pairs;
  });

/** `name=value` pairs, separated by commas. */
const named = (what: 'url' | 'key') =>
  z
    .string()
    .default('')
    .transform((list, context) => {
      const pairs = new Map<string, string>();
      for (const pair of list.split(',').map((part) => part.trim())) {
        if (pair === '') continue;
        const at = pair.indexOf('=');
        const [name, value] = [pair.slice(0, Math.max(at, 0)).trim(), pair.slice(at + 1).trim()];
        const isNamed = /^[a-z][a-z0-9-]{0,30}$/.test(name) && !taken.includes(name) && !pairs.has(name);
        const isValue = what === 'key' ? value !== '' : /^https?:\/\//.test(value) && URL.canParse(value);
        // The value may be a secret: it is not shown.
        if (!isNamed || !isValue) {
          context.issues.push({
            code: 'custom',
            input: undefined,
            message: `must be name=${what} pairs, separated by commas; names in lower case, each once, and none of ${taken.join(', ')}`,
          });
          return z.NEVER;
        }
        pairs.set(name, value);
      }
      return pairs;
    });

/** Amounts of money by provider, `name=amount` pairs separated by commas. */
const amounts = z
  .string()
  .regex(
    /^(\s*[a-z][a-z0-9-]{0,30}\s*=\s*\d{1,9}(\.\d{1,9})?\s*(,|$))*$/,
    'must be name=amount pairs, separated by commas, like hf=0.10',
  )
  .default('')
  .transform(
    (list) =>
      new Map(
        list
          .split(',')
          .filter((pair) => pair.trim() !== '')
          .map(amountOf),
      ),
  );

function amountOf(pair: string): [string, number] {
  const [name = '', amount] = pair.split('=');
  return [name.trim(), Number(amount)];
}

const names = z
  .string()
  .default('')
  .transform((list) =>
    list
      .split(',')
      .map((name) => name.trim())
      .filter(Boolean),
  );

/** Hosts, with a port or for all of them, separated by commas. @param example of one that has a name. */
const hosts = (example: string) =>
  names.pipe(
    z.array(
      z
        .string()
        .regex(
          /^(\[[\da-fA-F:.]+\]|[^\s/:@?#\\[\]]+)(:\d{1,5})?$|^[\da-fA-F:]{2,39}$/,
          `hosts are written like ${example}, 127.0.0.1:4000 or [::1]:4000, separated by commas`,
        ),
    ),
  );

const fields = z.object({
  MILLRACE_HOME: text
    .default('.millrace')
    .describe('Data folder: embedded Postgres, files, credentials.json.'),
  HOST: text.default('127.0.0.1').describe('Address the API listens on; 0.0.0.0 for every interface.'),
  PORT: count(0, 65_535).default(3_000).describe('Port the API listens on.'),
  PUBLIC_URL: url('http', 'https')
    .optional()
    .describe('How clients reach the API; signed URLs begin with it.'),

  DATABASE_URL: url('postgres', 'postgresql')
    .optional()
    .describe('Your Postgres (15 or newer). Unset: an embedded one, under the data folder.'),
  REDIS_URL: url('redis', 'rediss')
    .optional()
    .describe('Redis 6.2 or newer (noeviction, AOF) for the queue. Unset: the queue lives in Postgres.'),
  DATABASE_POOL: count(2, 100).default(6).describe('Connections that each process may open to Postgres.'),

  S3_BUCKET: text
    .regex(/^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$/, 'must be the name of a bucket')
    .optional()
    .describe('Bucket that holds the files, and nothing else. Unset: they lie under the data folder.'),
  S3_ENDPOINT: url('http', 'https')
    .optional()
    .describe('Server of the bucket, as workers, API and the users of signed URLs reach it. Unset: AWS.'),
  S3_REGION: text
    .regex(/^[a-z0-9-]+$/, 'must be the name of a region')
    .default('us-east-1')
    .describe('Region of the bucket.'),
  S3_ACCESS_KEY_ID: text
    .optional()
    .describe('Key that may read, write, list and delete. Unset: what AWS’s SDK finds (role, profile).'),
  S3_SECRET_ACCESS_KEY: text.optional().describe('The secret of that key.'),
  S3_FORCE_PATH_STYLE: z
    .stringbool('must be true or false')
    .optional()
    .describe('Bucket in the path instead of the host’s name. Unset: true where S3_ENDPOINT is set.'),
  S3_CHECKSUMS: z
    .enum(['when_required', 'when_supported'])
    .default('when_required')
    .describe('when_supported sends CRC-32 beside SHA-256 and MD5: AWS keeps it, some servers refuse it.'),

  MILLRACE_SECRET: text
    .min(32, 'must be 32 characters or longer')
    .optional()
    .describe('Signs URLs; the same on every machine. Unset: made once and kept in the data folder.'),
  CORS_ORIGINS: names.describe(
    'Origins of browser pages that may call the API and its sockets, separated by commas; * for any.',
  ),

  WORKER_COUNT: count(0, 256).default(1).describe('Worker processes that `npm start` keeps running.'),
  WORKER_POOLS: z
    .string()
    .default('local,remote')
    .transform((list) => list.split(',').map((pool) => pool.trim()))
    .pipe(
      z.array(z.string().regex(/^[a-z][a-z0-9-]{0,30}$/, 'pools are named like local or gpu-a100')).min(1),
    )
    .describe('Pools that a worker serves, separated by commas.'),
  WORKER_SLOTS: count(1, 256).default(2).describe('Chunks that a worker runs at once, in each of its pools.'),
  WORKER_DIRECT_SLOTS: count(1, 1_024)
    .default(32)
    .describe('Direct requests that a worker has in hand at once, in each of its pools.'),
  WORKER_HTTP_PORT: count(1, 65_535)
    .optional()
    .describe(
      'Port of a worker’s own /health and /metrics, where each runs alone (a container). Unset: none.',
    ),
  CHUNK_WINDOW: count(1, 1_000).default(8).describe('Chunks of one batch in the queue or running at once.'),

  MODELS_DIR: text
    .optional()
    .describe('Folder of local models, name/ or org/name/. Unset: models/ under the data folder.'),
  MODELS_PRELOAD: names.describe('Local models that a worker loads at start, separated by commas.'),
  MODELS_MEMORY_MB: count(1, 2 ** 22)
    .default(4_096)
    .describe('Memory for the weights of local models in a worker; the one used longest ago makes room.'),
  MODELS_EVICT: z
    .stringbool('must be true or false')
    .default(true)
    .describe('false: a model that does not fit beside the loaded ones is refused instead of making room.'),
  LOCAL_SLOTS: count(1, 64)
    .default(1)
    .describe('Threads of a worker that run local models, each with its own copy: one a device.'),
  LOCAL_DEVICE: z.enum(['cpu', 'cuda']).default('cpu').describe('What local models run on.'),
  LOCAL_DTYPE: z
    .enum(['auto', 'fp32', 'fp16', 'int8', 'uint8', 'q8', 'q4', 'q4f16', 'bnb4'])
    .default('auto')
    .describe('Which of a model’s weights to load. auto: what its config names, else fp32.'),
  LOCAL_CPU_THREADS: count(0, 1_024)
    .default(0)
    .describe('Threads of the CPU for one slot’s arithmetic. 0: the cores, shared among the slots.'),
  HF_ENDPOINT: url('http', 'https')
    .default('https://huggingface.co')
    .describe('Hub that models named local/org/name are fetched from.'),
  HF_TOKEN: text
    .optional()
    .describe(
      'Token of Hugging Face: gated and private models come from the Hub with it, and hf/… models run with it.',
    ),

  UPLOAD_MAX_BYTES: count(1, 2 ** 50)
    .default(10 * 2 ** 30)
    .describe('Largest file, in bytes, expanded if compressed.'),
  UPLOAD_PART_MAX_BYTES: count(1, 2 ** 40)
    .default(64 * 2 ** 20)
    .describe('Largest part of a file that is uploaded in parts, in bytes.'),
  BATCH_MAX_LINES: count(1, 2 ** 31)
    .default(10_000_000)
    .describe('Most lines in a batch.'),
  WORKSPACE_MAX_PENDING_LINES: count(1, 2 ** 50)
    .default(50_000_000)
    .describe('Most lines of a workspace that wait to be run; a batch beyond it is answered 429.'),
  WORKSPACE_MAX_PENDING_TASKS: count(1, 2 ** 31)
    .default(10_000)
    .describe('Most direct requests of a workspace that wait to be run; one beyond it is answered 429.'),
  DIRECT_WAIT_SECONDS: count(1, 3_600)
    .default(300)
    .describe('How long a direct request is waited for, in seconds; it runs on after that.'),
  LINE_MAX_BYTES: count(1_024, 2 ** 28)
    .default(16 * 2 ** 20)
    .describe('Longest line of a batch, in bytes.'),
  GARBAGE_AGE_HOURS: count(1, 8_760)
    .default(24)
    .describe('Age at which an object that nothing refers to is deleted, in hours.'),
  MILLRACE_INPUT_ALLOW_HOSTS: hosts('images.test').describe(
    'Hosts (and ports) that inputs may be fetched from though they are not public or not https, separated by commas.',
  ),

  HF_ENDPOINTS: named('url').describe(
    'Dedicated endpoints of Hugging Face: name=url, separated by commas; their models are hf/@name.',
  ),
  HF_ROUTER: url('http', 'https')
    .default('https://router.huggingface.co')
    .describe('Router of Hugging Face’s Inference Providers, or a proxy that stands in for it.'),
  OLLAMA_URL: url('http', 'https')
    .optional()
    .describe('Ollama server, e.g. http://127.0.0.1:11434; its models are ollama/name. Unset: none.'),
  OLLAMA_KEY: text.optional().describe('Key of an Ollama server that asks for one.'),
  OPENAI_COMPATIBLE: named('url').describe(
    'Servers that speak OpenAI’s API: name=url up to /v1, separated by commas; their models are name/model.',
  ),
  OPENAI_COMPATIBLE_KEYS: named('key').describe(
    'Keys of those that want one: name=key, or name=@file that holds it, separated by commas.',
  ),
  PROVIDER_CONCURRENCY: count(1, 1_024)
    .default(16)
    .describe('Calls that a worker has under way at once to each hosted provider.'),
  PROVIDER_LIMITS: limits.describe(
    'The same for one provider or one model: openai=8 or openai/gpt-5=2, separated by commas.',
  ),
  PRICES: text
    .optional()
    .describe('JSON file with what models cost, for estimates. Unset: nothing is estimated.'),
  FREE_CREDIT_USD: amounts.describe(
    'Credit that a provider’s token has each month, in US dollars: name=amount, separated by commas; e.g. hf=0.10.',
  ),
  MILLRACE_WEBHOOK_ALLOW_HOSTS: hosts('receiver.test').describe(
    'Hosts (and ports) that webhooks may be sent to though they are not public or not https, separated by commas.',
  ),
  WEBHOOK_LOG_DAYS: count(1, 3_650)
    .default(30)
    .describe('Days for which a finished webhook delivery and its tries are kept.'),
  FEED_DAYS: count(1, 3_650)
    .default(90)
    .describe('Days for which events are kept, and can be replayed; a delivery goes with its event.'),
  ATTEMPT_DAYS: count(1, 3_650)
    .default(90)
    .describe('Days for which each try at a task is kept; what it has used stays in the sums.'),

  LOG_LEVEL: z
    .enum(['debug', 'info', 'warn', 'error', 'silent'])
    .default('info')
    .describe('Least level that is logged.'),
  LOG_FORMAT: z
    .enum(['pretty', 'json'])
    .default('pretty')
    .describe('How `npm start` prints its processes’ logs; they write JSON themselves.'),
});

/** What can be said of one setting only in the light of another. */
const pairs = [
  ['S3_ENDPOINT', 'S3_BUCKET'],
  ['S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY'],
  ['S3_SECRET_ACCESS_KEY', 'S3_ACCESS_KEY_ID'],
] as const;

export const settings = fields.superRefine((given, context) => {
  for (const [name, needed] of pairs) {
    if (given[name] === undefined || given[needed] !== undefined) continue;
    context.addIssue({ code: 'custom', path: [needed], message: `not set, though ${name} is` });
  }
});

export type Settings = z.output<typeof settings>;
export type SettingName = keyof Settings;
