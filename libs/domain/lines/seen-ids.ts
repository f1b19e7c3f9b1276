/**
 * The `custom_id`s that a batch has used, for exact duplicate checks with little memory: a hash table of 64-bit hashes,
 * each with the number of its line. A hash match is only a candidate: the caller reads the earlier line again (the line
 * index knows its offset) and compares the ids.
 *
 * An entry takes twelve bytes at a load factor of at most 0.7: 9 to 18 MB for a million lines. A `Set` of strings takes
 * 100 MB.
 */
import { randomInt } from 'node:crypto';

const maxLoad = 0.7;

export class SeenIds {
  private low = new Uint32Array(1 << 12);
  private high = new Uint32Array(1 << 12);
  private line = new Uint32Array(1 << 12);
  private count = 0;
  // Each batch has its own random seed, so that a client can't prepare ids that collide.
  private readonly seed = randomInt(2 ** 32);

  /** @param hash returns 64 bits as two numbers. Tests replace it to force collisions. */
  constructor(private readonly hash: (id: string, seed: number) => [low: number, high: number] = hashId) {}

  /**
   * Adds an id. @param line from 1. @returns the lines of earlier ids with the same hash, in ascending order. It is
   * almost always empty, unless the id is a duplicate.
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
    // `grow` moves entries, so they may not be found in the order they were added.
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

/** Two 32-bit hashes over UTF-16 units, with the mixing steps of MurmurHash3 (A. Appleby, public domain). */
function hashId(text: string, seed: number): [low: number, high: number] {
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
