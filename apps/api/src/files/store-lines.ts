/** Stores the input of a batch that did not come as an upload, and counts its lines. */
import { createId, type FilePurpose } from '@millrace/contracts';
import type { NewFile } from '#database';
import { countLines, LineCounter } from '#domain';
import type { ObjectStorage } from '#storage';

/** Lifetime of a batch's input unless its upload says otherwise, as OpenAI's. */
export const batchFileExpiresInS = 30 * 86_400;

/** @param requested lifetime in seconds. @returns the file's lifetime; null: it stays until it is deleted. */
export const fileLifetimeS = (purpose: FilePurpose, requested?: number | null) =>
  requested ?? (purpose === 'batch' ? batchFileExpiresInS : null);

/** @returns the file, to be written in the transaction that creates its batch. */
export async function storeLines(
  workspaceId: string,
  filename: string,
  lines: AsyncIterable<Uint8Array>,
  { objects, signal }: { readonly objects: ObjectStorage; readonly signal: AbortSignal },
): Promise<NewFile> {
  const id = createId('file');
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
