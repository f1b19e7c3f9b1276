/** Caches the segment lists of the few input files whose chunks this worker runs. */
import { LRUCache } from 'lru-cache';
import type { FileStore, Segment } from '#database';

const maxFiles = 64;

export class InputFiles {
  private readonly segments = new LRUCache<string, Promise<Segment[]>>({ max: maxFiles });

  constructor(private readonly files: FileStore) {}

  /** An input file never changes, so the list stays valid. */
  getSegments(workspaceId: string, fileId: string): Promise<Segment[]> {
    let segments = this.segments.get(fileId);
    if (!segments) {
      segments = this.files.listSegments(workspaceId, fileId);
      segments.catch(() => this.segments.delete(fileId));
      this.segments.set(fileId, segments);
    }
    return segments;
  }
}
