/** Slows the sandbox so that a chunk takes as long as a fault needs. */
import type { InputOptions } from './batch-input.ts';

/** A batch has twenty chunks, or fewer of 50 lines each; a chunk's lines are called 256 at a time, four calls at once. */
const chunks = 20;
const leastLines = 50;
const linesPerCall = 256;
const callsAtOnce = 4;

/** @param chunkSeconds approximate duration of one chunk. */
export function inputWithChunkSeconds(lines: number, chunkSeconds: number): Omit<InputOptions, 'tag'> {
  const chunkLines = Math.max(leastLines, Math.ceil(lines / chunks));
  const rounds = Math.ceil(Math.ceil(chunkLines / linesPerCall) / callsAtOnce);
  return { lines, delayMs: Math.round((chunkSeconds * 1_000) / rounds) };
}
