/**
 * A vector of float32 as JSON numbers with the fewest digits that read back to it. `JSON.stringify` would see
 * doubles and write up to 17 digits for each: twice the bytes, at a quarter of the speed.
 *
 * A decimal reads back to a float32 when it lies strictly between the midpoints to its two neighbours (Steele and
 * White, How to Print Floating-Point Numbers Accurately, 1990). Between them there is, for all floats of one
 * binary exponent, always a decimal of some number of places, and at most one with one place less: two candidates,
 * each a rounded product. With up to 12 places the product is exact (24 bits times the 28 of 5^12 fit into a
 * double's 53), so is the comparison, and the gap between a decimal and a midpoint is wide enough for readers that
 * go through a double, as those of JSON do, to round to the same float32 (2^28 > 5^12). (The midpoint below a
 * power of two is nearer than the others; for the 39 of the table it changes nothing, as the spec shows.) What the
 * table leaves out, below 2^-16 and from 2^23, takes a slower way.
 */

/** By biased binary exponent; 0: not in the table. */
const places = new Uint8Array(256);
/** 10^places, 10^(places - 1), and half the gap to a neighbour times the latter. */
const scale = new Float64Array(256);
const shortScale = new Float64Array(256);
const shortReach = new Float64Array(256);

/** Powers of ten, read and not computed: `**` need not be exact. */
const tens = Float64Array.from({ length: 13 }, (_, power) => Number(`1e${power}`));

/** Biased exponents of 2^-16, the least with 12 places; of 1; and of 2^23, from where floats are whole numbers. */
const least = 127 - 16;
const one = 127;
const whole = 127 + 23;

for (let exponent = least; exponent < whole; exponent++) {
  const gap = 2 ** (exponent - 127 - 23);
  let count = 1;
  while (1 / tens[count]! >= gap) count++;
  places[exponent] = count;
  scale[exponent] = tens[count]!;
  shortScale[exponent] = tens[count - 1]!;
  shortReach[exponent] = (gap / 2) * tens[count - 1]!;
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

/** Longest number with its comma, and more (`,-1.1754944e-38`); and room for four bytes before the first. */
const longest = 20;
const margin = 4;

let text = Buffer.alloc(0);
let view = new DataView(text.buffer);
const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);
const excess = new Float64Array(1);
const excessWords = new Int32Array(excess.buffer);
/** Of a double's two words the one that holds its sign: the second on little-endian machines. */
const highWord = new Uint8Array(new Uint16Array([1]).buffer)[0]!;

/** @param vector finite numbers. @returns a JSON array; -0 stays -0. */
export function formatFloat32Json(vector: Float32Array): string {
  reserve(vector.length * longest + 2 * margin);
  // One loop over locals: a call a number takes a fourth more time.
  const [out, words] = [text, view];
  let at = margin;
  for (let index = 0; index < vector.length; index++) {
    const value = vector[index]!;
    float[0] = value;
    const word = bits[0]!;
    const exponent = (word >>> 23) & 0xff;
    let count = places[exponent]!;
    if (count === 0) {
      at = writeRare(value, at);
      continue;
    }
    const size = Math.abs(value);
    const scaled = size * shortScale[exponent]!;
    const short = (scaled + 0.5) | 0;
    const long = (size * scale[exponent]! + 0.5) | 0;
    // -1 where the short one lies inside, else 0: from a sign, not by a branch. Which of the two it is is as good as
    // random, and a processor that guesses wrong loses more time than both products take.
    excess[0] = Math.abs(short - scaled) - shortReach[exponent]!;
    const isShort = excessWords[highWord]! >> 31;
    let digits = long + ((short - long) & isShort);
    count += isShort;
    for (; digits % 10 === 0 && count > 0; count--) digits = (digits / 10) | 0;
    const start = at + 1 + (word >>> 31);
    if (exponent < one && count >= 5) {
      // Below 1: twelve digits at once, over whose zeros comma, sign and `0.` are written; what they covered of the
      // number before is put back.
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
  // The first number's comma opens the array.
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

/** Writes `digits` from `start` on, the last `count` of them behind the point. @returns where the next number begins. */
function writeDecimal(digits: number, count: number, start: number, at: number): number {
  let length = count + 1;
  while (digits >= tens[length]!) length++;
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

function writeRare(value: number, at: number): number {
  text[at] = comma;
  if (!Object.is(value, 0))
    return at + 1 + text.write(value === 0 ? '-0' : shortest(value), at + 1, 'latin1');
  text[at + 1] = zero;
  return at + 2;
}

/** The same for any float32 but zero, by trying: nine digits always do, and where some number does, so do more. */
function shortest(value: number): string {
  float[0] = Math.abs(value);
  const size = float[0];
  bits[0]!--;
  const below = (float[0] + size) / 2;
  bits[0]! += 2;
  // Behind the largest float32 comes what would be the next, not infinity.
  const above = (Math.min(float[0], 2 ** 128) + size) / 2;
  let found = size;
  for (let digits = 9; digits > 0; digits--) {
    let read = Number(size.toPrecision(digits));
    // Next to a power of two the nearest may lie outside and the one above it inside: the gap above is wider.
    if (read <= below) read = oneMore(size, digits);
    if (!(below < read && read < above)) break;
    found = read;
  }
  return String(Math.sign(value) * found);
}

/** The nearest decimal of so many digits, with one more in its last place. */
function oneMore(size: number, digits: number): number {
  const [mantissa, exponent] = size.toExponential(digits - 1).split('e') as [string, string];
  return Number(`${Number(mantissa.replace('.', '')) + 1}e${Number(exponent) - digits + 1}`);
}
