/** Where input files lie: their segments, remembered for the few files whose chunks this worker runs. */
import type { FileStore, Segment } from '#database';

const remembered = 64;

export class InputFiles {
  private readonly segments = new Map<string, Promise<Segment[]>>();

  constructor(private readonly files: FileStore) {}

  /** An uploaded file never changes, so what was read once stays true. */
  getSegments(workspaceId: string, fileId: string): Promise<Segment[]> {
    let segments = this.segments.get(fileId);
    if (!segments) {
      segments = this.files.listSegments(workspaceId, fileId);
      segments.catch(() => this.segments.delete(fileId));
      this.segments.set(fileId, segments);
      if (this.segments.size > remembered) this.segments.delete(this.segments.keys().next().value!);
    }
    return segments;
  }
}
