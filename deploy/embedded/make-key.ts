/** `npm start -- --new-key` while Millrace runs: makes an admin key in the database of the running Millrace. */
import type { Config } from '#config';
import { findEmbeddedDatabaseUrl } from './postgres.ts';
import { runToCompletion, type ChildContext } from './supervised-child.ts';
import type { LockHolder } from './supervisor-lock.ts';
import { StartupError } from './startup-error.ts';

/** @throws StartupError */
export async function makeKeyOfRunning(
  config: Config,
  script: string,
  { url }: LockHolder,
  context: ChildContext,
): Promise<void> {
  const databaseUrl = config.DATABASE_URL ?? (await findEmbeddedDatabaseUrl(config.MILLRACE_HOME));
  if (!databaseUrl) throw new StartupError('Set DATABASE_URL to the database of the running Millrace.');
  const env = {
    ...process.env,
    DATABASE_URL: databaseUrl,
    MILLRACE_HOME: config.MILLRACE_HOME,
    PORT: new URL(url).port,
  };
  const program = { name: 'new-key', script, env };
  const { code, startFailure } = await runToCompletion(program, context, new AbortController().signal);
  if (code !== 0) throw new StartupError(startFailure ?? 'No key was made: see the output above.');
}
