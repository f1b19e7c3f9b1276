/** The store's own leaf of the error tree: an object that is not what its record says. */
import { Failure } from '#domain';

/**
 * 500 `segment_damaged`: a segment is missing, or shorter or longer than recorded, or has other bytes than its
 * checksum says. The caller did nothing wrong and trying again does not help; the chunk that wrote it has to run
 * again.
 */
export class SegmentDamaged extends Failure {
  readonly status = 500;
  readonly key: string;
  /** Size by the record, and size found: null when nothing is there, the same when the bytes are others. */
  readonly expectedBytes: number;
  readonly foundBytes: number | null;

  constructor(key: string, expectedBytes: number, foundBytes: number | null, cause?: unknown) {
    super(`Segment ${key} ${describeDamage(expectedBytes, foundBytes)}.`, 'segment_damaged', { cause });
    this.key = key;
    this.expectedBytes = expectedBytes;
    this.foundBytes = foundBytes;
  }
}

function describeDamage(expectedBytes: number, foundBytes: number | null): string {
  if (foundBytes === expectedBytes) return 'has other bytes than its checksum says';
  const found = foundBytes === null ? 'is missing' : `holds ${foundBytes} bytes`;
  return `${found} where its record says ${expectedBytes} bytes`;
}
