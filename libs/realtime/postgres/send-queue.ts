/** What waits to be sent over Postgres, cut into statements of a bounded size. */
import { FramePacker, type BusMessage } from './notify-frames.ts';

/** About as much as one statement should carry. */
const statementBytes = 512 * 1024;
/** Beyond this the server does not keep up, and what comes is refused rather than kept in memory. */
const maxBacklogBytes = 16 * 1024 * 1024;
/** Every LISTEN makes Postgres wake this process, so many channels share a few: a channel is always in the same one. */
const buckets = 16;

interface QueuedMessage extends BusMessage {
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** One statement's worth: parallel columns of Postgres channels and payloads, and who wants to know how it went. */
export interface SendBatch {
  readonly values: [channels: string[], payloads: string[]];
  resolve(): void;
  reject(error: unknown): void;
}

export class SendQueue {
  private waiting: QueuedMessage[] = [];
  private bytes = 0;
  private readonly packer = new FramePacker();

  get isFull(): boolean {
    return this.bytes > maxBacklogBytes;
  }

  /** @returns a promise that tells how it went. */
  add(entry: BusMessage): Promise<void> {
    return new Promise((resolve, reject) => {
      const bytes = Buffer.byteLength(entry.json);
      this.bytes += bytes;
      this.waiting.push({ ...entry, bytes, resolve, reject });
    });
  }

  /** @returns null when nothing waits. */
  takeBatch(): SendBatch | null {
    let bytes = 0;
    let count = 0;
    while (count < this.waiting.length && bytes < statementBytes) bytes += this.waiting[count++]!.bytes;
    if (count === 0) return null;
    this.bytes -= bytes;
    const messages = this.waiting.splice(0, count);
    return {
      values: this.pack(messages),
      resolve: () => messages.forEach(({ resolve }) => resolve()),
      reject: (error) => messages.forEach(({ reject }) => reject(error)),
    };
  }

  rejectAll(error: unknown): void {
    const messages = this.waiting;
    this.waiting = [];
    this.bytes = 0;
    for (const { reject } of messages) reject(error);
  }

  private pack(messages: readonly QueuedMessage[]): [string[], string[]] {
    const channels: string[] = [];
    const payloads: string[] = [];
    for (const [bucket, entries] of Map.groupBy(messages, ({ channel }) => toPostgresChannel(channel))) {
      for (const payload of this.packer.pack(entries)) {
        channels.push(bucket);
        payloads.push(payload);
      }
    }
    return [channels, payloads];
  }
}

/** @returns the Postgres channel that carries a bus channel: FNV-1a over its UTF-16 units. */
export function toPostgresChannel(channel: string): string {
  let hash = 0x811c9dc5;
  for (let index = 0; index < channel.length; index++) {
    hash = Math.imul(hash ^ channel.charCodeAt(index), 0x01000193);
  }
  return `millrace_${(hash >>> 0) % buckets}`;
}
