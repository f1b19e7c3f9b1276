/** Options of the hosted providers for libs/providers, from the settings. */
import { readFileSync } from 'node:fs';
import { ConfigError } from './config-error.ts';
import type { Config } from './config.ts';

type ProviderSettings = Pick<
  Config,
  | 'HF_TOKEN'
  | 'HF_ENDPOINT'
  | 'HF_ROUTER'
  | 'HF_ENDPOINTS'
  | 'OLLAMA_URL'
  | 'OLLAMA_KEY'
  | 'OPENAI_COMPATIBLE'
  | 'OPENAI_COMPATIBLE_KEYS'
  | 'PROVIDER_CONCURRENCY'
  | 'PROVIDER_LIMITS'
  | 'FREE_CREDIT_USD'
>;

/** @returns options for `createProviders`. @throws ConfigError if a key belongs to no server or its file cannot be read. */
export function buildProviderOptions(config: ProviderSettings) {
  const {
    PROVIDER_CONCURRENCY: defaultConcurrency,
    PROVIDER_LIMITS: limits,
    OPENAI_COMPATIBLE: servers,
    OPENAI_COMPATIBLE_KEYS: keys,
  } = config;
  const problems = listUnknownProviders(config);
  if (problems.length > 0) throw new ConfigError(problems);
  const getConcurrency = (name: string) => ({
    concurrency: limits.get(name) ?? defaultConcurrency,
    getModelConcurrency: (model: string) => limits.get(`${name}/${model}`),
  });
  const hasHuggingFace = config.HF_TOKEN !== undefined || config.HF_ENDPOINTS.size > 0;
  return {
    ...(hasHuggingFace && {
      huggingFace: {
        token: config.HF_TOKEN,
        inferenceEndpoints: config.HF_ENDPOINTS,
        hubUrl: config.HF_ENDPOINT.replace(/\/+$/, ''),
        routerUrl: config.HF_ROUTER.replace(/\/+$/, ''),
        ...getConcurrency('hf'),
      },
    }),
    ...(config.OLLAMA_URL !== undefined && {
      ollama: {
        url: config.OLLAMA_URL.replace(/\/+$/, ''),
        key: config.OLLAMA_KEY,
        ...getConcurrency('ollama'),
      },
    }),
    openaiCompatible: [...servers].map(([name, url]) => ({
      name,
      url: url.replace(/\/$/, ''),
      key: readKey(name, keys.get(name)),
      ...getConcurrency(name),
    })),
  };
}

/** @returns a problem for each setting that names a provider that does not exist: it would be ignored. */
function listUnknownProviders(config: ProviderSettings): string[] {
  const servers = [...config.OPENAI_COMPATIBLE.keys()];
  const named = {
    OPENAI_COMPATIBLE_KEYS: [config.OPENAI_COMPATIBLE_KEYS.keys(), servers],
    PROVIDER_LIMITS: [config.PROVIDER_LIMITS.keys(), [...servers, 'hf', 'ollama']],
    FREE_CREDIT_USD: [config.FREE_CREDIT_USD.keys(), [...servers, 'hf', 'ollama']],
  } as const;
  return Object.entries(named).flatMap(([setting, [names, known]]) => {
    const unknown = [...names].filter((name) => !known.includes(name.split('/', 1)[0]!));
    const allowed =
      known.length > 0 ? `the names are ${known.join(', ')}` : 'OPENAI_COMPATIBLE names no server';
    return unknown.map((name) => `${setting}: '${name}' is not the name of a provider; ${allowed}`);
  });
}

function readKey(name: string, key: string | undefined): string | undefined {
  if (!key?.startsWith('@')) return key;
  try {
    return readFileSync(key.slice(1), 'utf8').trim();
  } catch (error) {
    const { code = 'unknown' } = error as NodeJS.ErrnoException;
    throw new ConfigError([`OPENAI_COMPATIBLE_KEYS: the file of '${name}' can't be read (${code})`]);
  }
}
