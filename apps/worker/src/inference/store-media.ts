/** Stores the media of a task's answer, before anything refers to them. For a batch line, embeds them instead. */
import type { Media } from '#catalogue';
import type { ClaimedTask, StoredMedia } from '#database';
import type { ObjectStorage } from '#storage';

const extensions: Record<string, string> = {
  'image/png': 'png',
  'image/jpeg': 'jpg',
  'image/webp': 'webp',
  'audio/wav': 'wav',
  'audio/mpeg': 'mp3',
  'audio/flac': 'flac',
  'audio/ogg': 'ogg',
  'video/mp4': 'mp4',
  'video/webm': 'webm',
};

/** The attempt in the key separates rival attempts. */
export async function storeMedia(
  { workspaceId, taskId, attempt }: ClaimedTask,
  media: readonly Media[],
  objects: ObjectStorage,
): Promise<StoredMedia[]> {
  const stored = [];
  for (const [at, { bytes, type }] of media.entries()) {
    const key = `${workspaceId}/tasks/${taskId}/${attempt}.${at}.${extensions[type] ?? 'bin'}`;
    await objects.put(key, toBuffer(bytes), { contentType: type });
    stored.push({ key, type, bytes: bytes.byteLength });
  }
  return stored;
}

/** @returns the answer with each media reference extended by its bytes as base64 `data`. */
export function embedMediaData(json: string, media: readonly Media[] = []): string {
  if (media.length === 0) return json;
  return JSON.stringify(JSON.parse(json), (_, value: unknown) => {
    const isReference =
      typeof value === 'object' && value !== null && 'object' in value && value.object === 'media';
    if (!isReference) return value;
    const { bytes } = media[(value as unknown as { index: number }).index]!;
    return { ...value, data: toBuffer(bytes).toString('base64') };
  });
}

const toBuffer = ({ buffer, byteOffset, byteLength }: Uint8Array) =>
  Buffer.from(buffer, byteOffset, byteLength);
