/** Embeds texts with transformers.js itself, as the reference for the local provider. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const script = fileURLToPath(new URL('./reference-embed-process.ts', import.meta.url));

/** @param folder contains the model in a folder of its name. */
export async function embedWithReference(
  folder: string,
  model: string,
  texts: readonly string[],
): Promise<number[][]> {
  const running = promisify(execFile)(process.execPath, [script, folder, model], { maxBuffer: 2 ** 28 });
  running.child.stdin!.end(JSON.stringify(texts));
  return JSON.parse((await running).stdout) as number[][];
}
