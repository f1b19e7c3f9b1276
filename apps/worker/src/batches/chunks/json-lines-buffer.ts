/**
 * Collects JSON Lines as UTF-8 in one buffer that grows by doubling, fed from short strings. It avoids both one very
 * long string and one buffer per line.
 */

/**
 * Buffers of stored chunks, reused for the next ones. Without reuse, each chunk of 5 MB leaves 16 MB outside V8's heap,
 * which its collector frees late.
 */
const spares: Buffer[] = [];
const maxSpares = 4;
const minBytes = 1 << 18;
const maxSpareBytes = 1 << 24;
const flushLength = 16_384;
const empty = Buffer.alloc(0);

export class JsonLinesBuffer {
  private bytes: Buffer = empty;
  private used = 0;
  private text = '';

  /** @param line including its line end. */
  add(line: string): void {
    this.text += line;
    if (this.text.length > flushLength) this.flush();
  }

  /** @returns the bytes, valid until `release`. */
  take(): Buffer {
    this.flush();
    return this.bytes.subarray(0, this.used);
  }

  /** Returns the buffer for reuse. */
  release(): void {
    const { length } = this.bytes;
    if (length >= minBytes && length <= maxSpareBytes && spares.length < maxSpares) spares.push(this.bytes);
    this.bytes = empty;
    this.used = 0;
  }

  private flush(): void {
    if (this.text === '') return;
    this.text = escapeLineSeparators(this.text);
    // A UTF-16 unit takes at most three bytes.
    const needed = this.used + this.text.length * 3;
    if (needed > this.bytes.length) this.grow(needed);
    this.used += this.bytes.write(this.text, this.used);
    this.text = '';
  }

  private grow(needed: number): void {
    const spare = this.used === 0 ? spares.pop() : undefined;
    const fits = spare !== undefined && spare.length >= needed;
    const larger = fits ? spare : Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2, minBytes));
    this.bytes.copy(larger, 0, 0, this.used);
    this.bytes = larger;
  }
}

/**
 * Characters that JSON allows in strings, and that readers take for the end of a line: Python's `splitlines`, JavaScript's
 * `readline`. In JSON they occur in strings only, so they are escaped wherever they are.
 */
const lineSeparators = /[\u0085\u2028\u2029]/g;

const escapeLineSeparators = (text: string): string =>
  text.replace(lineSeparators, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
