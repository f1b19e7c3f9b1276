/**
 * The format of messages as NOTIFY payloads, which Postgres limits to 7,999 bytes. Small messages share a frame; a frame
 * with a large message is cut into parts. A payload is `publisher.frame.part.parts ` followed by JSON
 * `[[channel, value], …]`. The numbers also keep two equal messages apart: Postgres removes duplicate notifications within
 * a transaction.
 */
import { randomBytes } from 'node:crypto';
import { maxMessageBytes } from '../transport.ts';

const maxPayloadBytes = 7_999;
const headerBytes = 64;
export const maxBodyBytes = maxPayloadBytes - headerBytes;

export interface BusMessage {
  readonly channel: string;
  readonly json: string;
}

/** Packs messages, in order, into payloads. */
export class FramePacker {
  private readonly publisher = randomBytes(6).toString('base64url');
  private frame = 0;

  pack(messages: readonly BusMessage[]): string[] {
    const payloads: string[] = [];
    let open: string[] = [];
    let bytes = 0;
    const close = () => {
      if (open.length) payloads.push(...this.cut(`[${open.join(',')}]`, bytes + 1));
      open = [];
      bytes = 0;
    };
    for (const { channel, json } of messages) {
      const text = `[${JSON.stringify(channel)},${json}]`;
      const size = Buffer.byteLength(text) + 1;
      if (bytes + size + 1 > maxBodyBytes) close();
      open.push(text);
      bytes += size;
    }
    close();
    return payloads;
  }

  private cut(body: string, bytes: number): string[] {
    const frame = (this.frame++).toString(36);
    if (bytes <= maxBodyBytes) return [`${this.publisher}.${frame}.0.1 ${body}`];
    const parts = splitUtf8(body, maxBodyBytes);
    return parts.map((part, index) => `${this.publisher}.${frame}.${index}.${parts.length} ${part}`);
  }
}

/** Cuts text into pieces of at most `limit` bytes of UTF-8, never inside a character. */
export function splitUtf8(text: string, limit: number): string[] {
  const bytes = Buffer.from(text);
  const pieces: string[] = [];
  for (let start = 0; start < bytes.length;) {
    let end = Math.min(start + limit, bytes.length);
    // 10xxxxxx continues a character: step back to where it begins.
    while (end < bytes.length && (bytes[end]! & 0xc0) === 0x80) end--;
    pieces.push(bytes.toString('utf8', start, end));
    start = end;
  }
  return pieces;
}

/** Larger than any frame that a publisher makes, so that only a forged header meets it. */
const maxParts = Math.ceil((2 * maxMessageBytes) / (maxBodyBytes - 4)) + 1;

interface PartialFrame {
  readonly parts: (string | undefined)[];
  readonly startedAt: number;
  missing: number;
}

/** Reassembles frames. A frame that stays incomplete is dropped and reported to `onDropped`. */
export class FrameUnpacker {
  private readonly partials = new Map<string, PartialFrame>();

  constructor(
    private readonly onDropped: () => void,
    private readonly limits = { partials: 16, ageMs: 10_000 },
  ) {}

  /** @returns the messages of the frame that this payload completes. */
  unpack(payload: string, now = performance.now()): [channel: string, value: unknown][] {
    const space = payload.indexOf(' ');
    const [publisher, frame, part, parts] = payload.slice(0, space).split('.');
    const [index, count] = [Number(part), Number(parts)];
    const body = payload.slice(space + 1);
    if (!(count >= 1 && count <= maxParts && index >= 0 && index < count)) return [];
    const text = count === 1 ? body : this.join(`${publisher}.${frame}`, index, count, body, now);
    return text === null ? [] : (JSON.parse(text) as [string, unknown][]);
  }

  /** Drops frames whose parts stopped coming. */
  expire(now = performance.now()): void {
    for (const [key, { startedAt }] of this.partials) if (now - startedAt > this.limits.ageMs) this.drop(key);
  }

  clear(): void {
    this.partials.clear();
  }

  private join(key: string, index: number, count: number, body: string, now: number): string | null {
    this.expire(now);
    let partial = this.partials.get(key);
    if (!partial) {
      const [oldest] = this.partials.keys();
      if (oldest !== undefined && this.partials.size >= this.limits.partials) this.drop(oldest);
      partial = { parts: new Array<undefined>(count), missing: count, startedAt: now };
      this.partials.set(key, partial);
    }
    if (partial.parts[index] === undefined) partial.missing--;
    partial.parts[index] = body;
    if (partial.missing > 0) return null;
    this.partials.delete(key);
    return partial.parts.join('');
  }

  private drop(key: string): void {
    this.partials.delete(key);
    this.onDropped();
  }
}
