/** Data that waits for a client is memory of this process: a burst may wait for some seconds, no more may wait at all. */
const maxBurstBytes = 16 << 20;
const maxRestBytes = 1 << 20;
const maxBurstMs = 5_000;

/** Tells when a stream or a socket has to be dropped because its client reads too slowly; it can resume. */
export class SlowClientDetector {
  private behindSince: number | null = null;

  /** To be called about once a second. @param bytes that wait for the client. @returns whether to drop it. */
  isTooSlow(bytes: number, now = performance.now()): boolean {
    if (bytes <= maxRestBytes) this.behindSince = null;
    else this.behindSince ??= now;
    return bytes > maxBurstBytes || (this.behindSince !== null && now - this.behindSince > maxBurstMs);
  }
}
