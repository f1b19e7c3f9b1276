/** Pictures that show what was asked for, in letters on a colour of its own. */
import sharp from 'sharp';
import type { Media } from '#catalogue';
import { createSeededRandom } from './seeded-random.ts';
import { glyphHeight, glyphWidth, isPixelSet } from './bitmap-font.ts';

export interface Canvas {
  readonly width: number;
  readonly height: number;
  /** RGBA, row by row. */
  readonly pixels: Uint8Array;
}

/** A picture nobody looks at closely is no larger than it must be. */
const usualSide = 256;
const maxSide = 1_024;

export function parseImageSize(size: string | undefined, width?: number, height?: number): [number, number] {
  const [wide, high] = /^\d+x\d+$/.test(size ?? '') ? size!.split('x').map(Number) : [];
  const within = (side = usualSide) => Math.min(Math.max(side, 16), maxSide);
  return [within(width ?? wide), within(height ?? high)];
}

/** @param done share of a bar along the lower edge, 0 to 1. */
export function renderText(text: string, [width, height]: readonly [number, number], done = 0): Canvas {
  const chance = createSeededRandom(text);
  const ground = [40 + chance() * 120, 40 + chance() * 120, 40 + chance() * 120];
  const pixels = new Uint8Array(width * height * 4);
  const scale = Math.max(1, Math.floor(width / 160));
  const columns = Math.max(1, Math.floor(width / (glyphWidth * scale)) - 1);
  const lines = ['SIMULATED', ...wrap(text, columns)];
  const bar = Math.round(width * done);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 4) {
      const isLit = (y >= height - 8 && x < bar) || isLetter(lines, x / scale, y / scale);
      const shade = 0.7 + (0.3 * y) / height;
      for (let part = 0; part < 3; part++) pixels[at + part] = isLit ? 250 : ground[part]! * shade;
      pixels[at + 3] = 255;
    }
  }
  return { width, height, pixels };
}

function isLetter(lines: readonly string[], x: number, y: number): boolean {
  const [column, row] = [Math.floor(x / glyphWidth) - 1, Math.floor(y / glyphHeight - 0.5)];
  const letter = lines[row]?.[column];
  const dotY = Math.floor(y - (row + 0.5) * glyphHeight);
  return letter !== undefined && isPixelSet(letter, Math.floor(x % glyphWidth), dotY);
}

function wrap(text: string, columns: number): string[] {
  const lines = [''];
  for (const word of text.slice(0, 2_000).split(/\s+/)) {
    const line = lines.at(-1)!;
    if (line !== '' && line.length + 1 + word.length > columns) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines;
}

export async function encodeImage(
  { width, height, pixels }: Canvas,
  format: 'png' | 'jpeg' | 'webp' = 'png',
): Promise<Media> {
  const image = sharp(pixels, { raw: { width, height, channels: 4 } });
  const bytes = await image.toFormat(format, format === 'png' ? { palette: true } : {}).toBuffer();
  return { bytes, type: `image/${format}`, width, height };
}
