/** Messages that wait to be sent over Postgres, taken in batches of a limited size. */
import { FramePacker, type BusMessage } from './notify-frames.ts';

/** A batch ends at the message that reaches this size. */
const statementBytes = 512 * 1024;
/** With a larger backlog the server does not keep up: messages are rejected instead of held in memory. */
const maxBacklogBytes = 16 * 1024 * 1024;
/** All bus channels share this many Postgres channels, since Postgres slows down with the number of LISTENs. */
const postgresChannels = 16;

interface QueuedMessage extends BusMessage {
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** The messages of one statement: parallel columns of Postgres channels and payloads, and the publishers' promises. */
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

  /** Resolves when the message was sent. */
  add(message: BusMessage): Promise<void> {
    return new Promise((resolve, reject) => {
      const bytes = Buffer.byteLength(message.json);
      this.bytes += bytes;
      this.waiting.push({ ...message, bytes, resolve, reject });
    });
  }

  /** @returns null when no message waits. */
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
    const grouped = Map.groupBy(messages, ({ channel }) => toPostgresChannel(channel));
    for (const [postgresChannel, ofChannel] of grouped) {
      for (const payload of this.packer.pack(ofChannel)) {
        channels.push(postgresChannel);
        payloads.push(payload);
      }
    }
    return [channels, payloads];
  }
}

/** Returns the Postgres channel of a bus channel, by an FNV-1a hash of its UTF-16 code units. */
export function toPostgresChannel(channel: string): string {
  let hash = 0x811c9dc5;
  for (let index = 0; index < channel.length; index++) {
    hash = Math.imul(hash ^ channel.charCodeAt(index), 0x01000193);
  }
  return `millrace_${(hash >>> 0) % postgresChannels}`;
}
