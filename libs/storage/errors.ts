/** The errors that both storages throw in the same words. The others are in `disk/disk-errors.ts` and `s3/s3-errors.ts`. */
import { Failure, NotFound } from '#domain';

/**
 * 500 `segment_damaged`: a segment is missing, has another size than recorded, or does not match its checksum. The
 * caller did nothing wrong and a retry does not help: the chunk that wrote the segment has to run again.
 */
export class SegmentDamaged extends Failure {
  readonly status = 500;
  readonly key: string;
  /** The recorded size. */
  readonly expectedBytes: number;
  /** The size found: null if the object is missing, `expectedBytes` if only the checksum differs. */
  readonly foundBytes: number | null;

  constructor(key: string, expectedBytes: number, foundBytes: number | null, cause?: unknown) {
    super(`Segment ${key} ${describeDamage(expectedBytes, foundBytes)}.`, 'segment_damaged', { cause });
    this.key = key;
    this.expectedBytes = expectedBytes;
    this.foundBytes = foundBytes;
  }
}

function describeDamage(expectedBytes: number, foundBytes: number | null): string {
  if (foundBytes === expectedBytes) return 'does not match its checksum';
  const found = foundBytes === null ? 'is missing' : `has ${foundBytes} bytes`;
  return `${found}; its record says ${expectedBytes} bytes`;
}

export function objectNotFound(cause?: unknown): NotFound {
  return new NotFound('The object does not exist.', { code: 'object_not_found', cause });
}
