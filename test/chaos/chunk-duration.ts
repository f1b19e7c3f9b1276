/** How the sandbox is slowed so that a chunk takes as long as a fault needs. */
import type { InputOptions } from './batch-input.ts';

/** A batch falls into twenty chunks, or fewer of 50 lines; their lines into calls of 256, four at once. */
const chunks = 20;
const leastLines = 50;
const linesPerCall = 256;
const callsAtOnce = 4;

/** @param chunkSeconds how long one chunk shall run, roughly. */
export function inputWithChunkSeconds(lines: number, chunkSeconds: number): Omit<InputOptions, 'tag'> {
  const chunkLines = Math.max(leastLines, Math.ceil(lines / chunks));
  const rounds = Math.ceil(Math.ceil(chunkLines / linesPerCall) / callsAtOnce);
  return { lines, delayMs: Math.round((chunkSeconds * 1_000) / rounds) };
}
