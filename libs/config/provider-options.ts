/** The hosted providers, as the settings name them: what an app gives to libs/providers, the same in every process. */
import { readFileSync } from 'node:fs';
import { ConfigError, type Config } from './config.ts';

type Given = Pick<
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
>;

/** Plain options for `createProviders`. @throws ConfigError where a key belongs to no server, or its file can't be read. */
export function providerOptions(config: Given) {
  const {
    PROVIDER_CONCURRENCY: usual,
    PROVIDER_LIMITS: limits,
    OPENAI_COMPATIBLE: servers,
    OPENAI_COMPATIBLE_KEYS: keys,
  } = config;
  const stray = [...keys.keys()].find((name) => !servers.has(name));
  if (stray) throw new ConfigError([`OPENAI_COMPATIBLE_KEYS: '${stray}' is not among OPENAI_COMPATIBLE`]);
  const boundsOf = (name: string) => ({
    concurrency: limits.get(name) ?? usual,
    concurrencyOf: (model: string) => limits.get(`${name}/${model}`),
  });
  const hasHuggingFace = config.HF_TOKEN !== undefined || config.HF_ENDPOINTS.size > 0;
  return {
    ...(hasHuggingFace && {
      huggingFace: {
        token: config.HF_TOKEN,
        endpoints: config.HF_ENDPOINTS,
        hub: config.HF_ENDPOINT.replace(/\/+$/, ''),
        router: config.HF_ROUTER.replace(/\/+$/, ''),
        ...boundsOf('hf'),
      },
    }),
    ...(config.OLLAMA_URL !== undefined && {
      ollama: { url: config.OLLAMA_URL.replace(/\/+$/, ''), key: config.OLLAMA_KEY, ...boundsOf('ollama') },
    }),
    openaiCompatible: [...servers].map(([name, url]) => ({
      name,
      url: url.replace(/\/$/, ''),
      key: keyOf(name, keys.get(name)),
      ...boundsOf(name),
    })),
  };
}

function keyOf(name: string, given: string | undefined): string | undefined {
  if (!given?.startsWith('@')) return given;
  try {
    return readFileSync(given.slice(1), 'utf8').trim();
  } catch (error) {
    const { code = 'unknown' } = error as NodeJS.ErrnoException;
    throw new ConfigError([`OPENAI_COMPATIBLE_KEYS: the file of '${name}' can't be read (${code})`]);
  }
}
