import { createRandom } from '../../../test/support/random.ts';
import { formatFloat32Json } from './float32-json.ts';

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

function fromBits(word: number): number {
  bits[0] = word;
  return float[0]!;
}

const text = (value: number) => formatFloat32Json(new Float32Array([value])).slice(1, -1);

/** A float32 and the midpoints to its neighbours, as integers in units of 2^power, a quarter of the distance. */
function getMidpoints(word: number) {
  const exponent = Math.max((word >>> 23) & 0xff, 1);
  const value = 4n * (BigInt(word & 0x7fffff) + (word >>> 23 === 0 ? 0n : 0x800000n));
  const isPower = (word & 0x7fffff) === 0 && word >>> 23 > 1;
  return { value, below: value - (isPower ? 1n : 2n), above: value + 2n, power: exponent - 127 - 23 - 2 };
}

/** Whether a decimal lies strictly between the midpoints, computed with integers. */
function isInside(decimal: string, word: number): boolean {
  const [mantissa = '', exponent = '0'] = decimal.split('e');
  const [whole = '', fraction = ''] = mantissa.split('.');
  const { below, above, power } = getMidpoints(word);
  const ten = Number(exponent) - fraction.length;
  const scale = (base: bigint, by: number) => base ** BigInt(Math.max(by, 0));
  const digits = BigInt(whole + fraction) * scale(10n, ten) * scale(2n, -power);
  const unit = scale(10n, -ten) * scale(2n, power);
  return below * unit < digits && digits < above * unit;
}

/** The fewest digits of any decimal strictly between the midpoints, computed with integers. */
function fewestDigits(word: number): number {
  const { value, below, above, power } = getMidpoints(word);
  for (let digits = 1; ; digits++) {
    const places = digits - 1 - Math.floor(Math.log10(Number(value) * 2 ** power) + 1e-12);
    // Try both, because the logarithm may be off by one.
    for (const count of [places - 1, places]) {
      const up = 10n ** BigInt(Math.max(count, 0)) * 2n ** BigInt(Math.max(power, 0));
      const down = 10n ** BigInt(Math.max(-count, 0)) * 2n ** BigInt(Math.max(-power, 0));
      const first = (below * up) / down + 1n;
      if (first * down < above * up && String(first).replace(/0+$/, '').length <= digits) return digits;
    }
  }
}

const countDigits = (number: string) =>
  number.replace(/e.*/, '').replace(/[-.]/g, '').replace(/^0+/, '').replace(/0+$/, '').length;

function expectShortest(word: number): void {
  const value = fromBits(word);
  const written = text(value);
  const read = JSON.parse(written) as number;
  if (!Object.is(Math.fround(read), value)) throw new Error(`${written} is not ${value} (${word})`);
  if (!isInside(written.replace(/^-/, ''), word & 0x7fffffff))
    throw new Error(`${written} is a midpoint (${word})`);
  const [found, expected] = [countDigits(written), fewestDigits(word & 0x7fffffff)];
  if (found !== expected) throw new Error(`${written} has ${found} digits where ${expected} do (${word})`);
}

test.each([
  [0, '0'],
  [-0, '-0'],
  [1, '1'],
  [-1, '-1'],
  [0.1, '0.1'],
  [-0.1, '-0.1'],
  [0.5, '0.5'],
  [0.3, '0.3'],
  [1 / 3, '0.33333334'],
  [100, '100'],
  [12.5, '12.5'],
  [16_777_216, '16777216'],
  // 33554450 has one digit less, but is the midpoint to the previous float.
  [33_554_452, '33554452'],
  [0.001, '0.001'],
  [0.0001, '0.0001'],
  [123_456.79, '123456.79'],
  [1e10, '10000000000'],
  [1e38, '1e+38'],
  [3.4028234663852886e38, '3.4028235e+38'],
  [1e-7, '1e-7'],
  [2 ** -126, '1.1754944e-38'],
  [2 ** -149, '1e-45'],
  [-(2 ** -149), '-1e-45'],
])('%d is %s', (value, expected) => {
  expect(text(Math.fround(value))).toBe(expected);
});

test('formats empty, short and long vectors one after the other', () => {
  expect(formatFloat32Json(new Float32Array())).toBe('[]');
  const vector = new Float32Array([0.25, -0.75, 3, -1e-30, 0, -0, 0.123456789, 1e38, -100.5, 0.00002]);
  expect(formatFloat32Json(vector)).toBe('[0.25,-0.75,3,-1e-30,0,-0,0.12345679,1e+38,-100.5,0.00002]');
  expect(formatFloat32Json(vector.subarray(1, 3))).toBe('[-0.75,3]');
  const long = new Float32Array(10_000).fill(-1.1754944e-38);
  expect(JSON.parse(formatFloat32Json(long))).toHaveLength(10_000);
});

test('is shortest around every power of two and for subnormal floats', () => {
  for (let exponent = 0; exponent < 255; exponent++) {
    for (const word of [exponent << 23, (exponent << 23) + 1, (exponent << 23) + 0x7fffff]) {
      if (word === 0) continue;
      expectShortest(word);
      expectShortest((word | 0x80000000) >>> 0);
    }
  }
  for (let word = 1; word < 0x800000; word = word * 2 + 1) expectShortest(word);
});

test('is shortest around every power of ten', () => {
  for (let power = -44; power <= 38; power++) {
    float[0] = Number(`1e${power}`);
    const word = bits[0]!;
    for (let step = -3; step <= 3; step++) if (word + step > 0) expectShortest(word + step);
  }
});

test('is shortest for random bits and for random numbers like those of embeddings', () => {
  const random = createRandom(1);
  for (let nth = 0; nth < 20_000; nth++) {
    expectShortest(random.int(1, 0x7f7fffff));
    float[0] = random.int(1, 2 ** 30) / 2 ** random.int(26, 40);
    expectShortest(bits[0]!);
  }
});

test('formats short decimals unchanged', () => {
  const random = createRandom(2);
  for (let nth = 0; nth < 20_000; nth++) {
    const decimal = random.int(1, 999_999) / 10 ** random.int(0, 9);
    expect(text(Math.fround(decimal))).toBe(String(decimal));
  }
});
