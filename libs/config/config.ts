/** The environment, parsed once into a frozen object: the only place that reads it. */
import { isAbsolute, resolve } from 'node:path';
import { ownSecret } from './own-secret.ts';
import { settings, type Settings } from './settings.ts';

export interface Config extends Readonly<Settings> {
  /** Where the queue lives, as the settings decide it. */
  readonly queueBackend: 'redis' | 'postgres';
}

/** Thrown with every wrong setting listed, so that one look mends them all. Values are not repeated: some are secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  constructor(readonly problems: string[]) {
    super(
      `Wrong settings:\n${problems.map((problem) => `  ${problem}`).join('\n')}\nSee .env.example for what each means.`,
    );
  }
}

/** @param env such as `process.env`; an empty value counts as unset. */
export function loadConfig(env: Record<string, string | undefined>): Config {
  const given = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value !== ''),
  );
  const parsed = settings.safeParse(given);
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

/** What an app that serves needs beyond the settings' defaults; the supervisor provides it where it is unset. */
export interface AppConfig extends Config {
  readonly DATABASE_URL: string;
  readonly MILLRACE_SECRET: string;
}

/** The settings of an app's own process, complete; or the process ends with the list of what is wrong on stderr. */
export function loadAppConfigOrExit(): AppConfig {
  return orExit(() => {
    const config = loadConfig(process.env);
    const { DATABASE_URL } = config;
    if (!DATABASE_URL) {
      throw new ConfigError([
        'DATABASE_URL: not set; `npm start` brings a database of its own, a process alone needs one',
      ]);
    }
    const MILLRACE_SECRET = config.MILLRACE_SECRET ?? ownSecret(config.MILLRACE_HOME);
    return Object.freeze({ ...config, DATABASE_URL, MILLRACE_SECRET });
  });
}

/** Where a person's own command finds the platform. */
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

/** The settings alone, for what starts the apps. */
export function loadConfigOrExit(): Config {
  return orExit(() => loadConfig(process.env));
}

function orExit<T>(load: () => T): T {
  try {
    return load();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(78); // EX_CONFIG of sysexits.h
  }
}
