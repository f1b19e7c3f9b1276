/** Media that a provider sent: its type is read from its first bytes, since servers often name another. */
import type { Media } from '#catalogue';

const signatures: readonly (readonly [string, number, string])[] = [
  ['89504e47', 0, 'image/png'],
  ['ffd8ff', 0, 'image/jpeg'],
  ['57454250', 8, 'image/webp'],
  ['57415645', 8, 'audio/wav'],
  ['66747970', 4, 'video/mp4'],
  ['1a45dfa3', 0, 'video/webm'],
  ['4f676753', 0, 'audio/ogg'],
  ['664c6143', 0, 'audio/flac'],
  ['494433', 0, 'audio/mpeg'],
  ['fffb', 0, 'audio/mpeg'],
];

/** @param named what the provider says that it is, for bytes that don't tell. */
export function toMedia(bytes: Uint8Array, named: string): Media {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, 16)).toString('hex');
  const found = signatures.find(([hex, at]) => head.startsWith(hex, at * 2));
  return { bytes, type: found?.[2] ?? named.split(';')[0]!.trim() };
}

/** The whole body of an answer. */
export async function readMedia(response: Response, usual: string): Promise<Media> {
  const named = response.headers.get('content-type') ?? usual;
  return toMedia(new Uint8Array(await response.arrayBuffer()), named);
}
