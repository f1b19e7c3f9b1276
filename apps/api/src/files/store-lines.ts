/** A batch's input that comes from the platform and not from an upload: streamed to the store, counted on the way. */
import { newId, type FilePurpose } from '@millrace/contracts';
import type { NewFile } from '#database';
import { countLines, LineCounter } from '#domain';
import type { ObjectStore } from '#storage';

/** A batch's input lives this long unless its upload says otherwise, as OpenAI's does. */
export const batchFileExpiresInS = 30 * 86_400;

/** @param seconds as asked for. @returns how long a file lives; null for one that stays until it is deleted. */
export const fileLifetimeS = (purpose: FilePurpose, seconds?: number | null) =>
  seconds ?? (purpose === 'batch' ? batchFileExpiresInS : null);

/** @returns the file to be written in the transaction that makes its batch. */
export async function storeLines(
  workspaceId: string,
  filename: string,
  lines: AsyncIterable<Uint8Array>,
  { objects, signal }: { readonly objects: ObjectStore; readonly signal: AbortSignal },
): Promise<NewFile> {
  const id = newId('file');
  const key = `${workspaceId}/files/${id}.jsonl`;
  const counter = new LineCounter();
  await objects.put(key, countLines(lines, counter), { signal });
  const lineIndex = counter.end();
  return {
    id,
    purpose: 'batch',
    filename,
    segments: [{ key, bytes: counter.bytes, lines: counter.lines, lineIndex }],
    expiresInS: batchFileExpiresInS,
  };
}
