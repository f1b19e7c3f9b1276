import { renderText, encodeImage, parseImageSize } from './render-image.ts';

interface Wanted {
  readonly n?: number;
  readonly size?: string;
  readonly width?: number;
  readonly height?: number;
  readonly output_format?: 'png' | 'jpeg' | 'webp';
}

/** As many pictures as were asked for, each with its number where they are several. */
export async function generateImages(
  prompt: string,
  { n = 1, size, width, height, output_format: format }: Wanted,
) {
  const images = [];
  for (let at = 1; at <= n; at++) {
    const text = n === 1 ? prompt : `${at}/${n} ${prompt}`;
    images.push(await encodeImage(renderText(text, parseImageSize(size, width, height)), format));
  }
  return { images };
}
