/** Parses the environment once into a frozen object. No other library or app reads the environment. */
import { isAbsolute, resolve } from 'node:path';
import { loadOrCreateSecret } from './local-secret.ts';
import { settings, type Settings } from './settings/index.ts';

export interface Config extends Readonly<Settings> {
  /** Decided by REDIS_URL. */
  readonly queueBackend: 'redis' | 'postgres';
}

/** Lists all wrong settings at once. The message contains no values, because some are secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  constructor(readonly problems: string[]) {
    super(
      `Wrong settings:\n${problems.map((problem) => `  ${problem}`).join('\n')}\n.env.example describes each setting.`,
    );
  }
}

/** @param env such as `process.env`; an empty value counts as unset. */
export function loadConfig(env: Record<string, string | undefined>): Config {
  const values = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value !== ''),
  );
  const parsed = settings.safeParse(values);
  if (!parsed.success) {
    throw new ConfigError(parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`));
  }
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

/** For the API and workers. Prints the wrong settings and exits the process if there are any. */
export function loadAppConfigOrExit(): AppConfig {
  return exitOnConfigError(() => {
    const config = loadConfig(process.env);
    const { DATABASE_URL } = config;
    if (!DATABASE_URL) {
      throw new ConfigError([
        'DATABASE_URL: not set. Only `npm start` starts an embedded Postgres; a single process needs DATABASE_URL',
      ]);
    }
    const MILLRACE_SECRET = config.MILLRACE_SECRET ?? loadOrCreateSecret(config.MILLRACE_HOME);
    return Object.freeze({ ...config, DATABASE_URL, MILLRACE_SECRET });
  });
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

/** For the supervisor, which starts the database itself. */
export function loadConfigOrExit(): Config {
  return exitOnConfigError(() => loadConfig(process.env));
}

function exitOnConfigError<T>(load: () => T): T {
  try {
    return load();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(78); // EX_CONFIG of sysexits.h
  }
}
