/**
 * `npm run model -- demo` writes models/demo-embedder, always the same bytes.
 * `npm run model -- random FOLDER` writes a model of MiniLM's size and shape with random weights, for benchmarks.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildDemoEmbedder } from './demo-embedder.ts';
import { buildRandomEncoder } from './random-encoder.ts';

const [which, folder] = process.argv.slice(2);
const demoFolder = fileURLToPath(new URL('../../models/demo-embedder', import.meta.url));

function write(files: ReadonlyMap<string, Uint8Array>, into: string): void {
  rmSync(into, { recursive: true, force: true });
  for (const [path, bytes] of files) {
    mkdirSync(dirname(join(into, path)), { recursive: true });
    writeFileSync(join(into, path), bytes);
  }
  const size = [...files.values()].reduce((sum, { length }) => sum + length, 0);
  process.stdout.write(`${into}: ${files.size} files, ${(size / 1e6).toFixed(2)} MB\n`);
}

if (which === 'demo') write(buildDemoEmbedder(), demoFolder);
else if (which === 'random' && folder) write(buildRandomEncoder(), folder);
else {
  process.stderr.write('Usage: npm run model -- demo | random FOLDER\n');
  process.exitCode = 2;
}
