/** Media to the blobs that the client sends, and back. */
import type { Media } from '#catalogue';
import { toMedia } from '../response-media.ts';

export const toBlob = ({ bytes, type }: Media): Blob => new Blob([new Uint8Array(bytes)], { type });

/** @param defaultType used if the blob has no type. */
export async function blobToMedia(blob: Blob, defaultType: string): Promise<Media> {
  return toMedia(new Uint8Array(await blob.arrayBuffer()), blob.type || defaultType);
}
