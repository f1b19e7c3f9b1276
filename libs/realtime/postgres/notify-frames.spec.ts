import { maxBodyBytes, FramePacker, splitUtf8, FrameUnpacker } from './notify-frames.ts';

const payloadBytes = (text: string) => Buffer.byteLength(text);

test('small messages share a frame, in order', () => {
  const payloads = new FramePacker().pack([1, 2, 3].map((n) => ({ channel: 'a', json: `${n}` })));
  expect(payloads).toHaveLength(1);
  expect(new FrameUnpacker(() => {}).unpack(payloads[0]!)).toEqual([
    ['a', 1],
    ['a', 2],
    ['a', 3],
  ]);
});

test.each([7_800, 7_900, 7_917, 7_918, 7_919, 7_920, 7_921, 7_922, 7_923, 7_924, 7_930, 8_000, 200_000])(
  'a message of %i bytes stays below the limit of NOTIFY and is reassembled',
  (bytes) => {
    const value = 'x'.repeat(bytes);
    const payloads = new FramePacker().pack([{ channel: 'stream:1', json: JSON.stringify(value) }]);
    for (const payload of payloads) expect(payloadBytes(payload)).toBeLessThanOrEqual(7_999);
    const unpacker = new FrameUnpacker(() => {});
    const out = payloads.flatMap((payload) => unpacker.unpack(payload));
    expect(out).toEqual([['stream:1', value]]);
  },
);

test('payloads stay below the limit for any combination of sizes', () => {
  const packer = new FramePacker();
  const unpacker = new FrameUnpacker(() => {});
  const entries = Array.from({ length: 500 }, (_, n) => ({
    channel: 'c',
    json: JSON.stringify('é'.repeat((n * 37) % 4_100)),
  }));
  const payloads = packer.pack(entries);
  expect(Math.max(...payloads.map(payloadBytes))).toBeLessThanOrEqual(7_999);
  expect(
    payloads.flatMap((payload) => unpacker.unpack(payload)).map(([, value]) => JSON.stringify(value)),
  ).toEqual(entries.map(({ json }) => json));
});

test.each([1, 2, 3, 4])('text is never cut inside a character (%i bytes each)', (bytes) => {
  const character = ['a', 'é', '€', '🜂'][bytes - 1]!;
  for (let offset = 0; offset < 5; offset++) {
    const text = 'x'.repeat(offset) + character.repeat(100);
    const pieces = splitUtf8(text, 10);
    expect(pieces.join('')).toBe(text);
    expect(Math.max(...pieces.map(payloadBytes))).toBeLessThanOrEqual(10);
    expect(pieces.join('')).not.toContain('\ufffd');
  }
});

test('equal messages get different payloads', () => {
  const packer = new FramePacker();
  const [first, second] = [1, 2].map(() => packer.pack([{ channel: 'a', json: '1' }])[0]);
  expect(first).not.toBe(second);
});

test('parts of two publishers may interleave', () => {
  const [one, two] = ['x', 'y'].map((letter) =>
    new FramePacker().pack([{ channel: letter, json: JSON.stringify(letter.repeat(3 * maxBodyBytes)) }]),
  );
  const unpacker = new FrameUnpacker(() => {});
  const out = one!.flatMap((payload, index) => [
    ...unpacker.unpack(payload),
    ...unpacker.unpack(two![index]!),
  ]);
  expect(out.map(([channel]) => channel)).toEqual(['x', 'y']);
});

test('an incomplete frame is dropped by age or by number, and reported', () => {
  let dropped = 0;
  const unpacker = new FrameUnpacker(() => dropped++, { partials: 2, ageMs: 1_000 });
  const first = () =>
    new FramePacker().pack([{ channel: 'a', json: JSON.stringify('x'.repeat(20_000)) }])[0]!;
  for (let n = 0; n < 3; n++) unpacker.unpack(first(), 0);
  expect(dropped).toBe(1);
  unpacker.expire(1_001);
  expect(dropped).toBe(3);
});

test.each(['', 'garbage', 'a.0.0.99999999 x', 'a.0.5.2 x', 'a.0.-1.2 x', 'a.0.0.0 []', 'a.0.NaN.NaN []'])(
  'an invalid header (%j) is ignored',
  (payload) => {
    expect(new FrameUnpacker(() => {}).unpack(payload)).toEqual([]);
  },
);
