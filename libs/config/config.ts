/** Parses the environment once into a frozen object. No other library or app reads the environment. */
import { isAbsolute, resolve } from 'node:path';
import { ConfigError } from './config-error.ts';
import { requiredTogether, settings, type Settings } from './settings/index.ts';
import { findUnknownSettings } from './unknown-settings.ts';

export interface Config extends Readonly<Settings> {
  /** Decided by REDIS_URL. */
  readonly queueBackend: 'redis' | 'postgres';
}

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * @param env such as `process.env`; an empty value counts as unset.
 * @throws ConfigError with all wrong and misspelt settings
 */
export function loadConfig(env: Environment): Config {
  const values = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value !== ''),
  );
  const parsed = settings.safeParse(values);
  const problems = [
    // An entry of a list has an index in its path.
    ...(parsed.error?.issues ?? []).map(({ path, message }) => `${String(path[0])}: ${message}`),
    ...requiredTogether
      .filter(([name, required]) => name in values && !(required in values))
      .map(([name, required]) => `${required}: not set, though ${name} is`),
    ...findUnknownSettings(env).problems,
  ];
  if (!parsed.success || problems.length > 0) throw new ConfigError([...new Set(problems)]);
  const home = parsed.data.MILLRACE_HOME;
  return Object.freeze({
    ...parsed.data,
    MILLRACE_HOME: isAbsolute(home) ? home : resolve(home),
    queueBackend: parsed.data.REDIS_URL ? 'redis' : 'postgres',
  });
}

/** The settings of the API and of a worker, which need a database. `npm start` sets DATABASE_URL for the embedded Postgres. */
export interface AppConfig extends Config {
  readonly DATABASE_URL: string;
  readonly MILLRACE_SECRET: string;
}

/** How the CLI finds the API. */
export interface CliConfig {
  readonly MILLRACE_HOME: string;
  readonly MILLRACE_URL?: string;
  readonly MILLRACE_API_KEY?: string;
}

export function loadCliConfig(): CliConfig {
  const { MILLRACE_HOME, MILLRACE_URL, MILLRACE_API_KEY } = process.env;
  return {
    MILLRACE_HOME: resolve(MILLRACE_HOME || settings.shape.MILLRACE_HOME.parse(undefined)),
    ...(MILLRACE_URL && { MILLRACE_URL }),
    ...(MILLRACE_API_KEY && { MILLRACE_API_KEY }),
  };
}
