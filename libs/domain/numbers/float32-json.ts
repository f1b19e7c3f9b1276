/**
 * Formats a vector of float32 as JSON numbers with the fewest digits that read back to the same float32.
 * `JSON.stringify` would format doubles with up to 17 digits each: twice the bytes, at a quarter of the speed.
 *
 * A decimal reads back to a float32 when it lies strictly between the midpoints to the two neighbouring floats (Steele
 * and White, How to Print Floating-Point Numbers Accurately, 1990). For all floats of one binary exponent there is a
 * fixed number of decimal places that always contains such a decimal, and one place fewer contains at most one. So
 * there are two candidates, each a rounded product. With up to 12 places the product is exact (24 bits times the 28
 * bits of 5^12 fit into a double's 53), and so is the comparison. The distance from a decimal to a midpoint is large
 * enough that JSON readers, which go through a double, round to the same float32 (2^28 > 5^12). The midpoint below a
 * power of two is nearer than the others; the spec shows that this changes nothing for the 39 powers in the table.
 * Values outside the table, below 2^-16 and from 2^23 on, use a slower path.
 */

/** Decimal places by biased binary exponent. 0: the exponent is not in the table. */
const places = new Uint8Array(256);
/** 10^places, 10^(places - 1), and half the distance to a neighbour times 10^(places - 1). */
const scale = new Float64Array(256);
const shortScale = new Float64Array(256);
const shortReach = new Float64Array(256);

/** Powers of ten, parsed and not computed, because `**` is not required to be exact. */
const powersOfTen = Float64Array.from({ length: 13 }, (_, power) => Number(`1e${power}`));

/** Biased exponents of 2^-16 (the smallest with 12 places), of 1, and of 2^23 (from here floats are integers). */
const minExponent = 127 - 16;
const exponentOfOne = 127;
const minIntegerExponent = 127 + 23;

for (let exponent = minExponent; exponent < minIntegerExponent; exponent++) {
  const gap = 2 ** (exponent - 127 - 23);
  let count = 1;
  while (1 / powersOfTen[count]! >= gap) count++;
  places[exponent] = count;
  scale[exponent] = powersOfTen[count]!;
  shortScale[exponent] = powersOfTen[count - 1]!;
  shortReach[exponent] = (gap / 2) * powersOfTen[count - 1]!;
}

const zero = 0x30;
const point = 0x2e;
const comma = 0x2c;
const minus = 0x2d;
const openBracket = 0x5b;
const closeBracket = 0x5d;

/** The digits of 0 to 9999, four bytes each. */
const fourDigits = Uint32Array.from({ length: 10_000 }, (_, number) =>
  Buffer.from(String(number).padStart(4, '0')).readUInt32BE(),
);

/** Bytes reserved per number with its comma (the longest is `,-1.1754944e-38`), and bytes before the first number. */
const bytesPerNumber = 20;
const margin = 4;

let text = Buffer.alloc(0);
let view = new DataView(text.buffer);
const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);
const excess = new Float64Array(1);
const excessWords = new Int32Array(excess.buffer);
/** Index of the 32-bit word with a double's sign: 1 on little-endian machines. */
const highWord = new Uint8Array(new Uint16Array([1]).buffer)[0]!;

/** @param vector finite numbers. @returns a JSON array. -0 stays -0. */
export function formatFloat32Json(vector: Float32Array): string {
  reserve(vector.length * bytesPerNumber + 2 * margin);
  // One loop over local variables: a function call per number takes a quarter more time.
  const [out, words] = [text, view];
  let at = margin;
  for (let index = 0; index < vector.length; index++) {
    const value = vector[index]!;
    float[0] = value;
    const word = bits[0]!;
    const exponent = (word >>> 23) & 0xff;
    let count = places[exponent]!;
    if (count === 0) {
      at = writeSlow(value, at);
      continue;
    }
    const size = Math.abs(value);
    const scaled = size * shortScale[exponent]!;
    const short = (scaled + 0.5) | 0;
    const long = (size * scale[exponent]! + 0.5) | 0;
    // -1 when the short candidate reads back, otherwise 0. Computed from a sign bit and not with a branch: the result is
    // close to random, and a branch misprediction costs more than both products.
    excess[0] = Math.abs(short - scaled) - shortReach[exponent]!;
    const isShort = excessWords[highWord]! >> 31;
    let digits = long + ((short - long) & isShort);
    count += isShort;
    for (; digits % 10 === 0 && count > 0; count--) digits = (digits / 10) | 0;
    const start = at + 1 + (word >>> 31);
    if (exponent < exponentOfOne && count >= 5) {
      // Below 1: write twelve digits at once, then comma, sign and `0.` over the leading zeros, then restore the four
      // bytes of the previous number that the twelve digits overwrote.
      const end = start + 2 + count;
      const covered = words.getUint32(at - 4);
      const high = (digits / 10_000) | 0;
      const top = (high / 10_000) | 0;
      words.setUint32(end - 12, fourDigits[top]!);
      words.setUint32(end - 8, fourDigits[high - top * 10_000]!);
      words.setUint32(end - 4, fourDigits[digits - high * 10_000]!);
      words.setUint32(at - 4, covered);
      out[start] = zero;
      out[start + 1] = point;
      out[start - 1] = minus;
      out[at] = comma;
      at = end;
    } else {
      at = writeDecimal(digits, count, start, at);
    }
  }
  // The comma of the first number becomes the opening bracket.
  out[margin] = openBracket;
  if (vector.length === 0) at++;
  out[at++] = closeBracket;
  return out.toString('latin1', margin, at);
}

function reserve(bytes: number): void {
  if (text.length >= bytes) return;
  text = Buffer.alloc(bytes * 2);
  view = new DataView(text.buffer, text.byteOffset, text.length);
}

/** Writes `digits` at `start`, the last `count` of them after the decimal point. @returns the end offset. */
function writeDecimal(digits: number, count: number, start: number, at: number): number {
  let length = count + 1;
  while (digits >= powersOfTen[length]!) length++;
  const end = start + length + (count > 0 ? 1 : 0);
  let rest = digits;
  for (let to = end - 1; to >= start; to--) {
    if (count > 0 && end - to === count + 1) {
      text[to] = point;
      continue;
    }
    const tenth = (rest / 10) | 0;
    text[to] = zero + rest - tenth * 10;
    rest = tenth;
  }
  text[start - 1] = minus;
  text[at] = comma;
  return end;
}

function writeSlow(value: number, at: number): number {
  text[at] = comma;
  if (!Object.is(value, 0))
    return at + 1 + text.write(value === 0 ? '-0' : formatShortest(value), at + 1, 'latin1');
  text[at + 1] = zero;
  return at + 2;
}

/** Finds the shortest form of any float32 except zero: nine digits always read back, so try fewer until one fails. */
function formatShortest(value: number): string {
  float[0] = Math.abs(value);
  const size = float[0];
  bits[0]!--;
  const below = (float[0] + size) / 2;
  bits[0]! += 2;
  // After the largest float32, use the next power of two instead of infinity.
  const above = (Math.min(float[0], 2 ** 128) + size) / 2;
  let found = size;
  for (let digits = 9; digits > 0; digits--) {
    let read = Number(size.toPrecision(digits));
    // Near a power of two the nearest decimal may not read back while the next one up does: the distance above is larger.
    if (read <= below) read = incrementLastDigit(size, digits);
    if (!(below < read && read < above)) break;
    found = read;
  }
  return String(Math.sign(value) * found);
}

/** The nearest decimal with this many digits, plus one in its last digit. */
function incrementLastDigit(size: number, digits: number): number {
  const [mantissa, exponent] = size.toExponential(digits - 1).split('e') as [string, string];
  return Number(`${Number(mantissa.replace('.', '')) + 1}e${Number(exponent) - digits + 1}`);
}
