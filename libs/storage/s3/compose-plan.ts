/** Plans the parts of a composed object. Pure, so that tests can check the limits of S3 for any sizes. */
import { maxParts, minPartBytes } from './options.ts';

/** Bytes `start` to `end`, inclusive, of the source at `index`. */
export interface Slice {
  readonly index: number;
  readonly start: number;
  readonly end: number;
}

/** `copy`: the server copies one slice. `gather`: several slices, too small to copy, are read and sent as one part. */
export type PlannedPart =
  | { readonly kind: 'copy'; readonly slice: Slice }
  | { readonly kind: 'gather'; readonly slices: readonly Slice[] };

/** The limit of UploadPartCopy. */
const maxCopyBytes = 5 * 1024 ** 3;

/**
 * Every part but the last has at least `partBytes`: 8 MiB, or more if there would be over 10,000 parts. Sources of that
 * size are copied. Smaller ones are gathered until they reach it, with the beginning of the next source if that one is
 * large. A gathered part has less than twice `partBytes`.
 */
export function planCompose(sizes: readonly number[]): PlannedPart[] {
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const partBytes = Math.max(minPartBytes, Math.ceil(total / (maxParts - 1)));
  const parts: PlannedPart[] = [];
  let gathered: Slice[] = [];
  let gatheredBytes = 0;
  const flush = () => {
    if (gatheredBytes > 0) parts.push({ kind: 'gather', slices: gathered });
    gathered = [];
    gatheredBytes = 0;
  };
  for (const [index, size] of sizes.entries()) {
    let start = 0;
    if (gatheredBytes > 0 || size < partBytes) {
      // Takes the whole source if the rest would be too small to copy.
      const missing = partBytes - gatheredBytes;
      const taken = size - missing < partBytes ? size : missing;
      if (taken > 0) gathered.push({ index, start: 0, end: taken - 1 });
      gatheredBytes += taken;
      start = taken;
      if (gatheredBytes >= partBytes) flush();
    }
    if (start === size) continue;
    for (const slice of splitEvenly(index, start, size)) parts.push({ kind: 'copy', slice });
  }
  flush();
  return parts;
}

/** The smallest number of copies within the limit, of about the same size, so that none is too small for a part. */
function* splitEvenly(index: number, start: number, size: number): Generator<Slice> {
  const copies = Math.ceil((size - start) / maxCopyBytes);
  const each = Math.ceil((size - start) / copies);
  for (let at = start; at < size; at += each) yield { index, start: at, end: Math.min(size, at + each) - 1 };
}
