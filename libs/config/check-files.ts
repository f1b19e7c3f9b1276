/** Checks what settings name outside of the environment, as the processes read it when they start. */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { ConfigError } from './config-error.ts';
import type { Config } from './config.ts';
import { readSecret } from './local-secret.ts';
import { loadPriceTable } from './price-table.ts';
import { buildProviderOptions } from './provider-options.ts';

/** @returns a problem for each file and each name that a process could not use. */
export function listFileProblems(config: Config): string[] {
  return [
    () => loadPriceTable(config),
    () => buildProviderOptions(config),
    () => checkModelsFolder(config),
    () => checkWorkerPort(config),
    () => config.MILLRACE_SECRET ?? readSecret(config.MILLRACE_HOME),
  ].flatMap(listProblems);
}

function listProblems(read: () => unknown): readonly string[] {
  try {
    read();
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

function checkModelsFolder({ MODELS_DIR }: Config): void {
  if (MODELS_DIR === undefined) return;
  if (!statSync(resolve(MODELS_DIR), { throwIfNoEntry: false })?.isDirectory()) {
    throw new ConfigError([`MODELS_DIR: the folder ${resolve(MODELS_DIR)} does not exist`]);
  }
}

/** Of the processes that `npm start` runs on this machine. */
function checkWorkerPort({ WORKER_HTTP_PORT, WORKER_COUNT, PORT }: Config): void {
  if (WORKER_HTTP_PORT === undefined) return;
  if (WORKER_COUNT > 1) {
    throw new ConfigError([
      `WORKER_HTTP_PORT: only one process can listen on port ${WORKER_HTTP_PORT}, but WORKER_COUNT is ${WORKER_COUNT}. Set WORKER_COUNT to 1, or leave WORKER_HTTP_PORT unset`,
    ]);
  }
  if (WORKER_HTTP_PORT === PORT)
    throw new ConfigError(['WORKER_HTTP_PORT: must not be the same port as PORT']);
}
