/** Renders images that show a text on a background whose color depends on the text. */
import sharp from 'sharp';
import type { Media } from '#catalogue';
import { glyphHeight, glyphWidth, isPixelSet } from './bitmap-font.ts';
import { createSeededRandom } from './seeded-random.ts';

export interface RawImage {
  readonly width: number;
  readonly height: number;
  /** RGBA, row by row. */
  readonly pixels: Uint8Array;
}

/** Small, because the content of a simulated image does not matter. */
const defaultSide = 256;
const minSide = 16;
const maxSide = 1_024;

/** @param size for example `512x512`. `width` and `height` take precedence. */
export function parseImageSize(size: string | undefined, width?: number, height?: number): [number, number] {
  const [parsedWidth, parsedHeight] = /^\d+x\d+$/.test(size ?? '') ? size!.split('x').map(Number) : [];
  const clamp = (side = defaultSide) => Math.min(Math.max(side, minSide), maxSide);
  return [clamp(width ?? parsedWidth), clamp(height ?? parsedHeight)];
}

/** @param progress length of the bar along the lower edge, 0 to 1. */
export function renderText(text: string, [width, height]: readonly [number, number], progress = 0): RawImage {
  const random = createSeededRandom(text);
  const background = [40 + random() * 120, 40 + random() * 120, 40 + random() * 120];
  const pixels = new Uint8Array(width * height * 4);
  const scale = Math.max(1, Math.floor(width / 160));
  const columns = Math.max(1, Math.floor(width / (glyphWidth * scale)) - 1);
  const lines = ['SIMULATED', ...wrapLines(text, columns)];
  const barWidth = Math.round(width * progress);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 4) {
      const isForeground = (y >= height - 8 && x < barWidth) || isTextPixel(lines, x / scale, y / scale);
      const shade = 0.7 + (0.3 * y) / height;
      for (let channel = 0; channel < 3; channel++)
        pixels[at + channel] = isForeground ? 250 : background[channel]! * shade;
      pixels[at + 3] = 255;
    }
  }
  return { width, height, pixels };
}

function isTextPixel(lines: readonly string[], x: number, y: number): boolean {
  const [column, row] = [Math.floor(x / glyphWidth) - 1, Math.floor(y / glyphHeight - 0.5)];
  const letter = lines[row]?.[column];
  const glyphY = Math.floor(y - (row + 0.5) * glyphHeight);
  return letter !== undefined && isPixelSet(letter, Math.floor(x % glyphWidth), glyphY);
}

function wrapLines(text: string, columns: number): string[] {
  const lines = [''];
  for (const word of text.slice(0, 2_000).split(/\s+/)) {
    const line = lines.at(-1)!;
    if (line !== '' && line.length + 1 + word.length > columns) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines;
}

export async function encodeImage(
  { width, height, pixels }: RawImage,
  format: 'png' | 'jpeg' | 'webp' = 'png',
): Promise<Media> {
  const image = sharp(pixels, { raw: { width, height, channels: 4 } });
  const bytes = await image.toFormat(format, format === 'png' ? { palette: true } : {}).toBuffer();
  return { bytes, type: `image/${format}`, width, height };
}
