/** What waits to be sent over Postgres, cut into statements of a bounded size. */
import { Packer, type Entry } from './frames.ts';

/** About as much as one statement should carry. */
const statementBytes = 512 * 1024;
/** Beyond this the server does not keep up, and what comes is refused rather than kept in memory. */
const backlogBytes = 16 * 1024 * 1024;
/** Every LISTEN makes Postgres wake this process, so many channels share a few: a channel is always in the same one. */
const buckets = 16;

interface Waiting extends Entry {
  readonly bytes: number;
  readonly sent: () => void;
  readonly refused: (error: unknown) => void;
}

/** One statement's worth: parallel columns of Postgres channels and payloads, and who wants to know how it went. */
export interface Consignment {
  readonly values: [channels: string[], payloads: string[]];
  sent(): void;
  refused(error: unknown): void;
}

export class Outbox {
  private waiting: Waiting[] = [];
  private bytes = 0;
  private readonly packer = new Packer();

  get isFull(): boolean {
    return this.bytes > backlogBytes;
  }

  /** @returns a promise that tells how it went. */
  add(entry: Entry): Promise<void> {
    return new Promise((sent, refused) => {
      const bytes = Buffer.byteLength(entry.json);
      this.bytes += bytes;
      this.waiting.push({ ...entry, bytes, sent, refused });
    });
  }

  /** @returns null when nothing waits. */
  take(): Consignment | null {
    let bytes = 0;
    let count = 0;
    while (count < this.waiting.length && bytes < statementBytes) bytes += this.waiting[count++]!.bytes;
    if (count === 0) return null;
    this.bytes -= bytes;
    const messages = this.waiting.splice(0, count);
    return {
      values: this.pack(messages),
      sent: () => messages.forEach(({ sent }) => sent()),
      refused: (error) => messages.forEach(({ refused }) => refused(error)),
    };
  }

  refuseAll(error: unknown): void {
    const messages = this.waiting;
    this.waiting = [];
    this.bytes = 0;
    for (const { refused } of messages) refused(error);
  }

  private pack(messages: readonly Waiting[]): [string[], string[]] {
    const channels: string[] = [];
    const payloads: string[] = [];
    for (const [bucket, entries] of Map.groupBy(messages, ({ channel }) => bucketOf(channel))) {
      for (const payload of this.packer.pack(entries)) {
        channels.push(bucket);
        payloads.push(payload);
      }
    }
    return [channels, payloads];
  }
}

/** @returns the Postgres channel that carries a bus channel: FNV-1a over its UTF-16 units. */
export function bucketOf(channel: string): string {
  let hash = 0x811c9dc5;
  for (let index = 0; index < channel.length; index++) {
    hash = Math.imul(hash ^ channel.charCodeAt(index), 0x01000193);
  }
  return `millrace_${(hash >>> 0) % buckets}`;
}
