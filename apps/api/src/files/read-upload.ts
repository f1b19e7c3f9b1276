/** The bytes of an uploaded part on their way to the store: expanded where they are gzip, capped, their faults named. */
import { pipeline, type Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { MultipartFile } from '@fastify/multipart';
import { Failure, InvalidInput, OverLimit } from '#domain';

/** gzip may expand by this much beyond the first 64 MiB; honest JSONL stays far below. */
const maxExpansion = 200;
const expansionGraceBytes = 64 * 2 ** 20;

/** Only JSONL is expanded: any other file is kept as its owner sent it. */
export const isCompressed = (filename: string) => /\.jsonl\.gz$/i.test(filename);

/** @throws InvalidInput `invalid_gzip`, `invalid_multipart`; OverLimit `expands_too_much`, `file_too_large`. */
export async function* readUpload(part: MultipartFile, maxBytes: number): AsyncGenerator<Uint8Array> {
  const { file, filename } = part;
  try {
    yield* isCompressed(filename) ? gunzip(file, maxBytes) : limitBytes(file, maxBytes);
  } catch (error) {
    // A part that was cut at the limit is no whole gzip either: the limit is what went wrong.
    throw file.truncated ? fileTooLarge(maxBytes) : toUploadFailure(error);
  }
  if (file.truncated) throw fileTooLarge(maxBytes);
}

/** What gzip holds, of one member or of many. @throws InvalidInput `invalid_gzip`; OverLimit as above. */
export async function* gunzip(source: Readable, maxBytes: number): AsyncGenerator<Buffer> {
  try {
    yield* limitBytes(gunzipStream(source), maxBytes);
  } catch (error) {
    throw isGzipError(error) ? invalidGzip(error) : error;
  }
}

async function* limitBytes(source: AsyncIterable<Buffer>, maxBytes: number): AsyncGenerator<Buffer> {
  let given = 0;
  for await (const chunk of source) {
    given += chunk.length;
    if (given > maxBytes) throw fileTooLarge(maxBytes);
    yield chunk;
  }
}

async function* gunzipStream(source: Readable): AsyncGenerator<Buffer> {
  let read = 0;
  let written = 0;
  source.on('data', (chunk: Buffer) => (read += chunk.length));
  // The iterator below reports what goes wrong; the callback only keeps it from being thrown.
  const plain = pipeline(source, createGunzip(), () => undefined);
  for await (const chunk of plain as AsyncIterable<Buffer>) {
    written += chunk.length;
    if (written > expansionGraceBytes && written > read * maxExpansion) {
      throw new OverLimit(`This gzip file expands more than ${maxExpansion} times. Upload it uncompressed.`, {
        code: 'expands_too_much',
        param: 'file',
      });
    }
    yield chunk;
  }
}

export function fileTooLarge(maxBytes: number, param = 'file'): OverLimit {
  return new OverLimit(`The file is larger than ${maxBytes} bytes, the most that one may have. Split it.`, {
    code: 'file_too_large',
    param,
  });
}

/** The parser's own errors say what is wrong with the form; they are the sender's, not ours. */
export function toUploadFailure(error: unknown): unknown {
  const { statusCode, name } = error as { statusCode?: number; name?: string };
  if (error instanceof Failure || statusCode || name === 'AbortError') return error;
  return new InvalidInput('The multipart body is not whole, or not what its boundary says.', {
    code: 'invalid_multipart',
    cause: error,
  });
}

const isGzipError = (error: unknown) => (error as { code?: string }).code?.startsWith('Z_');

function invalidGzip(cause: unknown): InvalidInput {
  return new InvalidInput('This file is named .gz but is not whole, valid gzip. Compress it again.', {
    code: 'invalid_gzip',
    param: 'file',
    cause,
  });
}
