/**
 * Which `custom_id`s a batch has used, for exact duplicate checks in flat memory: a table of 64-bit hashes with
 * the line each stands on. A hash that matches is only a suspicion; the caller reads the earlier line again
 * (its number is here, the line index knows where it begins) and compares.
 *
 * Twelve bytes an entry at a load of 0.7 or less after growth: 9 to 18 MB a million lines, where a `Set` of
 * strings takes 100.
 */
import { randomInt } from 'node:crypto';

const maxLoad = 0.7;

export class SeenIds {
  private low = new Uint32Array(1 << 12);
  private high = new Uint32Array(1 << 12);
  private line = new Uint32Array(1 << 12);
  private count = 0;
  // A seed of its own for each batch, so that colliding ids can't be prepared.
  private readonly seed = randomInt(2 ** 32);

  /** @param hash 64 bits of an id, in two lanes; a test's way to make ids collide. */
  constructor(private readonly hash: (id: string, seed: number) => [low: number, high: number] = mixed) {}

  /**
   * Notes an id. @param line from 1. @returns the lines of earlier ids with the same hash, first to last: none,
   * as good as always, unless the id is a duplicate.
   */
  add(id: string, line: number): number[] {
    if (this.count >= this.low.length * maxLoad) this.grow();
    const [low, high] = this.hash(id, this.seed);
    const suspects: number[] = [];
    const mask = this.low.length - 1;
    let at = low & mask;
    while (this.line[at] !== 0) {
      if (this.low[at] === low && this.high[at] === high) suspects.push(this.line[at]!);
      at = (at + 1) & mask;
    }
    this.low[at] = low;
    this.high[at] = high;
    this.line[at] = line;
    this.count++;
    // Growing moves entries: the order they are met in is not the order they came in.
    return suspects.sort((a, b) => a - b);
  }

  private grow(): void {
    const { low, high, line } = this;
    const size = low.length * 2;
    this.low = new Uint32Array(size);
    this.high = new Uint32Array(size);
    this.line = new Uint32Array(size);
    const mask = size - 1;
    for (let from = 0; from < line.length; from++) {
      if (line[from] === 0) continue;
      let at = low[from]! & mask;
      while (this.line[at] !== 0) at = (at + 1) & mask;
      this.low[at] = low[from]!;
      this.high[at] = high[from]!;
      this.line[at] = line[from]!;
    }
  }
}

/** Two lanes of 32 bits over UTF-16 units, multiply and xor as in MurmurHash3's mixing steps (A. Appleby, public domain). */
function mixed(text: string, seed: number): [low: number, high: number] {
  let a = seed ^ 0x9e3779b9;
  let b = seed ^ 0x85ebca6b;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    a = Math.imul(a ^ unit, 0xcc9e2d51);
    b = Math.imul(b ^ unit, 0x1b873593);
    a ^= a >>> 15;
    b ^= b >>> 13;
  }
  a = Math.imul(a ^ (a >>> 16) ^ text.length, 0x85ebca6b);
  b = Math.imul(b ^ (b >>> 16) ^ (a << 7), 0xc2b2ae35);
  return [(a ^ (a >>> 13) ^ (b << 3)) >>> 0, (b ^ (b >>> 16)) >>> 0];
}
