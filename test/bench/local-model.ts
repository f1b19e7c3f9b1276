/** A model of MiniLM's size with random weights: as slow as a real one, and made on the spot. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** Its folder's name, and what follows `local/`. */
export const localModel = 'minilm-random';

const buildModel = fileURLToPath(new URL('../../../tools/demo-model/build.ts', import.meta.url));

/** @param run is given the folder that holds the model, and the settings by which a worker finds and preloads it. */
export async function withLocalModel<T>(
  run: (folder: string, env: Record<string, string>) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-models-'));
  try {
    // From the sources: the word lists beside the script are no part of the build.
    await promisify(execFile)(process.execPath, [buildModel, 'random', join(folder, localModel)]);
    return await run(folder, { MODELS_DIR: folder, MODELS_PRELOAD: localModel });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
