import { encodeImage, parseImageSize, renderText } from './render-image.ts';

interface ImageOptions {
  readonly n?: number;
  readonly size?: string;
  readonly width?: number;
  readonly height?: number;
  readonly output_format?: 'png' | 'jpeg' | 'webp';
}

/** Renders the prompt `n` times. If there are several images, each shows its number. */
export async function generateImages(
  prompt: string,
  { n = 1, size, width, height, output_format: format }: ImageOptions,
) {
  const images = [];
  for (let number = 1; number <= n; number++) {
    const text = n === 1 ? prompt : `${number}/${n} ${prompt}`;
    images.push(await encodeImage(renderText(text, parseImageSize(size, width, height)), format));
  }
  return { images };
}
