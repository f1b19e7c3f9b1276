/** Which parts many objects are put together from: pure, so that its bounds can be tried on any sizes. */
import { maxParts, minPartBytes } from './options.ts';

/** Bytes `start` to `end`, included, of the source at `index`. */
export interface Slice {
  readonly index: number;
  readonly start: number;
  readonly end: number;
}

/** `copy`: one slice, copied by the server. `gather`: several, read and sent again, as they are too small. */
export type PlannedPart =
  | { readonly kind: 'copy'; readonly slice: Slice }
  | { readonly kind: 'gather'; readonly slices: readonly Slice[] };

/** The most that UploadPartCopy takes. */
const maxCopyBytes = 5 * 1024 ** 3;

/**
 * Every part but the last has `partBytes` or more, which is 8 MiB, or as much as keeps the parts under 10,000:
 * sources of that size are copied whole, smaller ones gathered until they reach it (with the beginning of a large
 * one, where that is what comes next). A gathered part has less than twice as much.
 */
export function planCompose(sizes: readonly number[]): PlannedPart[] {
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const partBytes = Math.max(minPartBytes, Math.ceil(total / (maxParts - 1)));
  const parts: PlannedPart[] = [];
  let gathered: Slice[] = [];
  let held = 0;
  const flush = () => {
    if (held > 0) parts.push({ kind: 'gather', slices: gathered });
    gathered = [];
    held = 0;
  };
  for (const [index, size] of sizes.entries()) {
    let start = 0;
    if (held > 0 || size < partBytes) {
      // All of it, where what is left would be too small to be copied: then the next one begins with a part.
      const lacking = partBytes - held;
      const taken = size - lacking < partBytes ? size : lacking;
      if (taken > 0) gathered.push({ index, start: 0, end: taken - 1 });
      held += taken;
      start = taken;
      if (held >= partBytes) flush();
    }
    if (start === size) continue;
    for (const slice of splitEvenly(index, start, size)) parts.push({ kind: 'copy', slice });
  }
  flush();
  return parts;
}

/** As few copies as the server's limit allows, all of about one size, so that none is too small. */
function* splitEvenly(index: number, start: number, size: number): Generator<Slice> {
  const copies = Math.ceil((size - start) / maxCopyBytes);
  const each = Math.ceil((size - start) / copies);
  for (let at = start; at < size; at += each) yield { index, start: at, end: Math.min(size, at + each) - 1 };
}
