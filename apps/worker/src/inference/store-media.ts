/** An answer's media: durable before anything names them. */
import type { Media } from '#catalogue';
import type { ClaimedTask, StoredMedia } from '#database';
import type { ObjectStore } from '#storage';

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

/** The attempt in the key keeps rivals apart. */
export async function storeMedia(
  { workspaceId, taskId, attempt }: ClaimedTask,
  media: readonly Media[],
  objects: ObjectStore,
): Promise<StoredMedia[]> {
  const kept = [];
  for (const [at, { bytes, type }] of media.entries()) {
    const key = `${workspaceId}/tasks/${taskId}/${attempt}.${at}.${extensions[type] ?? 'bin'}`;
    await objects.put(key, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), {
      contentType: type,
    });
    kept.push({ key, type, bytes: bytes.byteLength });
  }
  return kept;
}

/** An answer whole in itself, for a batch's line: each reference is given its bytes. */
export function embedMediaData(json: string, media: readonly Media[] = []): string {
  if (media.length === 0) return json;
  return JSON.stringify(JSON.parse(json), (_, value: unknown) => {
    const isReference =
      typeof value === 'object' && value !== null && 'object' in value && value.object === 'media';
    if (!isReference) return value;
    const { bytes } = media[(value as unknown as { index: number }).index]!;
    return {
      ...value,
      data: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64'),
    };
  });
}
