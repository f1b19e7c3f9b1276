/** Builds a model of MiniLM's size with random weights: as slow as a real one. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** Name of its folder, and of the model after `local/`. */
export const localModel = 'minilm-random';

const buildModel = fileURLToPath(new URL('../../../tools/demo-model/build.ts', import.meta.url));

/** @param run gets the folder of the model, and the settings with which a worker finds and preloads it. */
export async function withLocalModel<T>(
  run: (folder: string, env: Record<string, string>) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-models-'));
  try {
    // Runs the source file: the word lists beside it are not copied to dist/.
    await promisify(execFile)(process.execPath, [buildModel, 'random', join(folder, localModel)]);
    return await run(folder, { MODELS_DIR: folder, MODELS_PRELOAD: localModel });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
