/**
 * Makes text from an upstream storable, where it enters: Postgres stores neither NUL nor a lone surrogate. Both become
 * U+FFFD. In JSON they are escapes (`\u0000`, `\ud800`), so they are replaced before any library parses the body.
 */

/** Text as it can be stored, cut between code points. @param maxLength in UTF-16 units */
export function toStorableText(text: string, maxLength = Infinity): string {
  const isWhole = text.length <= maxLength;
  const cut = isWhole ? text : text.slice(0, maxLength);
  // A pair that was cut in half is left out, not replaced.
  const whole = isWhole ? cut : cut.replace(/[\ud800-\udbff]$/, '');
  return whole.toWellFormed().replaceAll('\0', '\ufffd');
}

/** One escape of a JSON string. A pair of surrogates is one escape, and an escaped backslash begins no other. */
const jsonEscape =
  /\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u([0-9a-fA-F]{4})|\\[^u]|\0/gs;

/** @param text each character is a byte of UTF-8 (`latin1`), so that no character is decoded twice. */
function replaceUnstorable(text: string): string {
  if (!text.includes('\\u') && !text.includes('\0')) return text;
  return text.replace(jsonEscape, (escape, unit: string | undefined) => {
    if (escape === '\0') return '\xef\xbf\xbd';
    return unit !== undefined && /^(0000|d[89a-f])/i.test(unit) ? '\\ufffd' : escape;
  });
}

/** The longest escape that may be cut by the end of a chunk: a pair of surrogates without its last digit. */
const maxHeldBack = 11;
const unfinishedEscape = /^\\(u[0-9a-fA-F]{0,3}|u[dD][89abAB][0-9a-fA-F]{2}(\\(u[0-9a-fA-F]{0,3})?)?)?$/;

/** @returns where an escape begins that the next chunk may continue; the length of the text if there is none. */
function findUnfinishedEscape(text: string): number {
  for (let at = Math.max(0, text.length - maxHeldBack); at < text.length; at++) {
    if (text[at] !== '\\' || !unfinishedEscape.test(text.slice(at))) continue;
    let before = at;
    while (text[before - 1] === '\\') before--;
    if ((at - before) % 2 === 0) return at;
  }
  return text.length;
}

/** Rewrites a body chunk by chunk. */
export class StorableBytes {
  private rest = '';

  add(chunk: Uint8Array): Uint8Array {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const text = this.rest + bytes.toString('latin1');
    const end = findUnfinishedEscape(text);
    this.rest = text.slice(end);
    return Buffer.from(replaceUnstorable(text.slice(0, end)), 'latin1');
  }

  end(): Uint8Array {
    return Buffer.from(replaceUnstorable(this.rest), 'latin1');
  }
}
