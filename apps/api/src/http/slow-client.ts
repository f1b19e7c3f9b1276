/** What waits for a client to take it is our memory: a burst may wait a while, and nothing may wait for ever. */
const burstBytes = 16 << 20;
const restBytes = 1 << 20;
const patienceMs = 5_000;

export class SlowClientDetector {
  private since: number | null = null;

  /** To be asked about once a second. @returns whether the client is to be dropped; it can resume. */
  isTooSlow(bytes: number, now = performance.now()): boolean {
    if (bytes <= restBytes) this.since = null;
    else this.since ??= now;
    return bytes > burstBytes || (this.since !== null && now - this.since > patienceMs);
  }
}
