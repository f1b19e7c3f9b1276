/**
 * Synthesizes rough speech and sound, because a machine may have no speech engine. Letters become sounds, and each sound
 * is a buzz or a hiss through three resonators (formants), after Klatt 1980, "Software for a cascade/parallel formant
 * synthesizer".
 */
import type { Media } from '#catalogue';
import { createSeededRandom } from './seeded-random.ts';

/** Samples per second. */
const sampleRate = 16_000;
const maxSeconds = 60;

/** Three formants in Hz, duration in ms, and the share of hiss, 0 to 1. A pause has formants of 0. */
type Sound = readonly [f1: number, f2: number, f3: number, ms: number, hiss: number];

const sounds: Record<string, Sound> = {
  a: [700, 1_220, 2_600, 110, 0],
  e: [530, 1_840, 2_480, 100, 0],
  i: [390, 1_990, 2_550, 90, 0],
  o: [570, 840, 2_410, 110, 0],
  u: [440, 1_020, 2_240, 100, 0],
  ee: [270, 2_290, 3_010, 130, 0],
  oo: [300, 870, 2_240, 130, 0],
  ou: [640, 1_000, 2_400, 140, 0],
  ai: [500, 2_000, 2_600, 140, 0],
  l: [360, 1_300, 2_700, 70, 0],
  m: [250, 1_000, 2_200, 80, 0],
  n: [250, 1_600, 2_600, 70, 0],
  ng: [250, 2_000, 2_700, 90, 0],
  r: [310, 1_060, 1_380, 80, 0],
  w: [290, 610, 2_150, 70, 0],
  y: [260, 2_070, 3_020, 70, 0],
  b: [200, 900, 2_100, 60, 0.2],
  d: [200, 1_700, 2_600, 60, 0.2],
  g: [200, 1_990, 2_850, 60, 0.2],
  v: [220, 1_100, 2_080, 70, 0.5],
  z: [240, 1_390, 3_400, 80, 0.7],
  th: [320, 1_290, 2_540, 80, 0.7],
  f: [340, 1_100, 4_000, 90, 1],
  s: [320, 3_900, 5_200, 110, 1],
  sh: [300, 2_300, 3_300, 110, 1],
  ch: [350, 2_500, 3_500, 90, 1],
  h: [500, 1_500, 2_500, 60, 1],
  p: [400, 1_100, 2_150, 40, 1],
  t: [400, 3_000, 4_200, 40, 1],
  k: [300, 1_990, 2_850, 50, 1],
  ' ': [0, 0, 0, 90, 0],
};
/** Letters whose sound is that of others. */
const spellings: Record<string, string> = {
  c: 'k',
  q: 'k',
  j: 'ch',
  x: 'k',
  ea: 'ee',
  ck: 'k',
  wh: 'w',
  ay: 'ai',
};
const pause = sounds[' ']!;

function toSounds(text: string): Sound[] {
  const letters = text.toLowerCase();
  const result: Sound[] = [];
  for (let at = 0; at < letters.length;) {
    const pair = letters.slice(at, at + 2);
    const isPair = pair.length === 2 && (Object.hasOwn(sounds, pair) || Object.hasOwn(spellings, pair));
    const key = isPair ? pair : letters[at]!;
    result.push(sounds[spellings[key] ?? key] ?? pause);
    at += isPair ? 2 : 1;
  }
  return result;
}

/** @param voice determines the pitch. @param speed 1 is normal. */
export function synthesizeSpeech(text: string, voice: string, speed = 1): Media {
  const random = createSeededRandom(voice);
  const pitch = 90 + random() * 130;
  const samples: number[] = [];
  const [low, middle, high] = [createResonator(), createResonator(), createResonator()];
  let phase = 0;
  for (const [f1, f2, f3, ms, hiss] of toSounds(text)) {
    const count = Math.round((sampleRate * ms) / 1_000 / speed);
    if (samples.length + count > sampleRate * maxSeconds) break;
    for (let at = 0; at < count; at++) {
      phase += pitch / sampleRate;
      const buzz = phase >= 1 ? 1 : 0;
      phase %= 1;
      const source = f1 === 0 ? 0 : buzz * (1 - hiss) * 6 + (random() - 0.5) * hiss * 0.6;
      const envelope = Math.min(1, at / 120, (count - at) / 120);
      samples.push(
        envelope * (low(source, f1, 80) + 0.6 * middle(source, f2, 110) + 0.3 * high(source, f3, 160)),
      );
    }
  }
  return encodeWav(samples.length > 0 ? samples : [0], text);
}

/** Filtered noise whose volume rises and falls, for any prompt. */
export function synthesizeSound(text: string, seconds: number): Media {
  const random = createSeededRandom(text);
  const filter = createResonator();
  const pitch = 200 + random() * 900;
  const count = Math.max(1, Math.round(sampleRate * Math.min(seconds, maxSeconds)));
  const volume = (at: number) => 0.6 + 0.4 * Math.sin((at / sampleRate) * Math.PI * 2);
  return encodeWav(
    Array.from({ length: count }, (_, at) => filter((random() - 0.5) * volume(at), pitch, 90)),
    text,
  );
}

/** A second-order digital resonator. `frequency` and `bandwidth` are in Hz. */
function createResonator() {
  let [y1, y2] = [0, 0];
  return (input: number, frequency: number, bandwidth: number) => {
    const r = Math.exp((-Math.PI * bandwidth) / sampleRate);
    const b = 2 * r * Math.cos((2 * Math.PI * frequency) / sampleRate);
    const out = (1 - b + r * r) * input + b * y1 - r * r * y2;
    [y2, y1] = [y1, out];
    return out;
  };
}

/** 16-bit mono PCM in a RIFF file. The text is the file's comment (`ICMT`). */
function encodeWav(samples: readonly number[], text: string): Media {
  let peak = 0.01;
  for (const sample of samples) peak = Math.max(peak, Math.abs(sample));
  const data = Buffer.alloc(samples.length * 2);
  for (const [at, sample] of samples.entries())
    data.writeInt16LE(Math.round((sample / peak) * 28_000), at * 2);
  const comment = Buffer.from(`Simulated: ${text.slice(0, 1_000)}\0`);
  const padded = Buffer.concat([comment, Buffer.alloc(comment.length % 2)]);
  const buildChunk = (id: string, bytes: Buffer, length = bytes.length) => {
    const header = Buffer.alloc(8);
    header.write(id, 'latin1');
    header.writeUInt32LE(length, 4);
    return Buffer.concat([header, bytes]);
  };
  const format = Buffer.alloc(16);
  format.writeUInt16LE(1, 0);
  format.writeUInt16LE(1, 2);
  format.writeUInt32LE(sampleRate, 4);
  format.writeUInt32LE(sampleRate * 2, 8);
  format.writeUInt16LE(2, 12);
  format.writeUInt16LE(16, 14);
  const info = Buffer.concat([Buffer.from('INFO'), buildChunk('ICMT', padded, comment.length)]);
  const parts = [
    Buffer.from('WAVE'),
    buildChunk('fmt ', format),
    buildChunk('LIST', info),
    buildChunk('data', data),
  ];
  const bytes = buildChunk('RIFF', Buffer.concat(parts));
  return { bytes, type: 'audio/wav', seconds: samples.length / sampleRate };
}
