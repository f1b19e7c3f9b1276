/** The settings of a process at its start, and how a process reports that it cannot start. */
import { existsSync, readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { listFileProblems } from './check-files.ts';
import { ConfigError, configExitCode } from './config-error.ts';
import { loadConfig, type AppConfig, type Config, type Environment } from './config.ts';
import { loadOrCreateSecret } from './local-secret.ts';
import { findUnknownSettings } from './unknown-settings.ts';

/** What a process sends to its supervisor, over the IPC channel, when it cannot start. */
export interface StartFailure {
  /** One line for each problem. */
  readonly startFailure: string;
}

/** For the API and workers. Prints the wrong settings and exits the process if there are any. */
export function loadAppConfigOrExit(): AppConfig {
  try {
    const config = loadConfig(process.env);
    const { DATABASE_URL } = config;
    if (!DATABASE_URL) {
      throw new ConfigError([
        'DATABASE_URL: not set. Only `npm start` starts an embedded Postgres; a single process needs DATABASE_URL',
      ]);
    }
    const MILLRACE_SECRET = config.MILLRACE_SECRET ?? loadOrCreateSecret(config.MILLRACE_HOME);
    // A supervisor has printed them already.
    if (!process.connected) printWarnings(findUnknownSettings(process.env).warnings);
    return Object.freeze({ ...config, DATABASE_URL, MILLRACE_SECRET });
  } catch (error) {
    if (error instanceof ConfigError) exitWithStartFailure(error.message, configExitCode);
    throw error;
  }
}

/**
 * For the supervisor, which starts the database itself. Also reads `.env` and checks the files that the settings of all
 * processes name.
 */
export function loadSupervisorConfigOrExit(): Config {
  const envFile = '.env';
  const envFileNames = existsSync(envFile) ? Object.keys(parseEnv(readFileSync(envFile, 'utf8'))) : [];
  if (envFileNames.length > 0) process.loadEnvFile(envFile);
  try {
    const config = loadConfigWithFiles(process.env);
    printWarnings(findUnknownSettings(process.env, envFileNames).warnings);
    return config;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    // Its own parent (npm's script, or `npm run dev`) prints nothing.
    process.stderr.write(`${error.message}\n`);
    process.exit(configExitCode);
  }
}

/** @throws ConfigError also for files that settings name */
export function loadConfigWithFiles(env: Environment): Config {
  const config = loadConfig(env);
  const problems = listFileProblems(config);
  if (problems.length > 0) throw new ConfigError(problems);
  return config;
}

function printWarnings(warnings: readonly string[]): void {
  for (const warning of warnings) process.stderr.write(`Warning: ${warning}\n`);
}

interface FatalLog {
  fatal(details: object, message: string): void;
}

/**
 * Ends a process whose start failed. The log has a stack only for an error that is not one of ours: a wrong setting, or a
 * service that cannot be used, is one line.
 */
export function exitAfterFailedStart(error: unknown, log: FatalLog): never {
  if (error instanceof ConfigError) exitWithStartFailure(error.message, configExitCode);
  if (isFailure(error)) exitWithStartFailure(error.message, 1);
  log.fatal({ err: error }, 'the process could not start');
  process.exit(1);
}

/** The errors of libs/domain have a status and a code, and a message for people. This library imports no other. */
function isFailure(error: unknown): error is Error {
  const { status, code } = error as { status?: unknown; code?: unknown };
  return error instanceof Error && typeof status === 'number' && typeof code === 'string';
}

/** Sends the message to the supervisor, which prints it once; without a supervisor it is printed here. */
function exitWithStartFailure(message: string, exitCode: number): never {
  if (process.send && process.connected) {
    // On the channel's pipe a message is written at once on POSIX, and before the exit on Windows.
    process.send({ startFailure: message } satisfies StartFailure);
  } else {
    process.stderr.write(`${message}\n`);
  }
  process.exit(exitCode);
}
