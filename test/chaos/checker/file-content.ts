/** Reads a file line by line in constant memory, through the API and from its segments in the object storage. */
import { createHash } from 'node:crypto';
import type { CheckContext } from './check-context.ts';

export interface Content {
  readonly bytes: number;
  readonly lines: number;
  readonly sha256: string;
}

/** Reads everything and calls `onLine` with each line, without its line feed. @throws Error if the last line has no line feed */
export async function readContent(
  source: AsyncIterable<Uint8Array>,
  onLine: (line: string) => void | Promise<void> = () => {},
): Promise<Content> {
  const hash = createHash('sha256');
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let rest = '';
  let bytes = 0;
  let lines = 0;
  for await (const chunk of source) {
    hash.update(chunk);
    bytes += chunk.length;
    const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = parts.pop()!;
    lines += parts.length;
    for (const line of parts) await onLine(line);
  }
  if (rest) throw new Error(`the last line is truncated: ${rest.slice(0, 80)}`);
  return { bytes, lines, sha256: hash.digest('hex') };
}

/** A file's content as a client reads it. @throws Error if the status is not 200. */
export async function* contentOverHttp(
  { url, apiKey }: CheckContext,
  fileId: string,
): AsyncGenerator<Uint8Array> {
  const headers = { authorization: `Bearer ${apiKey}` };
  const answer = await fetch(`${url}/v1/files/${fileId}/content`, { headers });
  if (!answer.ok) throw new Error(`GET /v1/files/${fileId}/content answered ${answer.status}`);
  yield* answer.body as unknown as AsyncIterable<Uint8Array>;
}

/** The same content from the object storage, in the order of the rows. @throws Error if an object does not have the size in its row. */
export async function* contentOfSegments(
  { database, objects }: CheckContext,
  fileId: string,
): AsyncGenerator<Uint8Array> {
  const segments = await database.rows<{ key: string; bytes: number }>(
    'select object_key as key, bytes from file_segments where file_id = $1 order by position',
    [fileId],
  );
  for (const { key, bytes } of segments) {
    let left = bytes;
    for await (const chunk of await objects.stream(key)) {
      left -= chunk.length;
      yield chunk;
    }
    if (left !== 0) throw new Error(`${key} has ${bytes - left} bytes; its row says ${bytes}`);
  }
}
