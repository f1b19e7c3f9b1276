/** Reads an uploaded form: its parts, and a file's bytes, expanded if they are gzip and limited in size. */
import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { Multipart, MultipartFile } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import { Failure, InvalidInput, OverLimit } from '#domain';
import { assertText, isGzip, signatureBytes } from './file-signature.ts';
import { isCompressed, isJsonLines } from './filename.ts';

/** Bytes that a form may contain besides its file. */
const maxFormBytes = 2 ** 20;

/** After the first 64 MiB, gzip may expand to this many times its size. Real JSONL stays far below. */
const maxExpansion = 200;
const expansionGraceBytes = 64 * 2 ** 20;

/** Refuses a body that is too long before any of it is read. @param tooLarge the error to throw. */
export function assertFormSize(
  request: FastifyRequest,
  maxFileBytes: number,
  tooLarge: (maxBytes: number) => OverLimit,
): void {
  const bytes = Number(request.headers['content-length'] ?? 0);
  if (bytes > maxFileBytes + maxFormBytes) throw tooLarge(maxFileBytes);
}

/** The parts of a form with one file. @throws InvalidInput `invalid_multipart`, while the parts are read. */
export function readForm(request: FastifyRequest, maxFileBytes: number): AsyncIterable<Multipart> {
  const limits = { fileSize: maxFileBytes + 1, fields: 20, fieldSize: 8_192 };
  return readParts(request.parts({ limits }));
}

async function* readParts(parts: AsyncIterable<Multipart>): AsyncGenerator<Multipart> {
  try {
    yield* parts;
  } catch (error) {
    throw toUploadFailure(error);
  }
}

/** @throws InvalidInput `invalid_gzip`, `invalid_multipart`; OverLimit `expands_too_much`, `file_too_large`. */
export async function* readUpload(part: MultipartFile, maxBytes: number): AsyncGenerator<Uint8Array> {
  const { file, filename } = part;
  try {
    const { head, content } = await peek(file);
    if (isJsonLines(filename)) assertText(head);
    const isExpanded = isCompressed(filename) || (isJsonLines(filename) && isGzip(head));
    yield* isExpanded ? gunzip(content, maxBytes) : limitBytes(content, maxBytes);
  } catch (error) {
    // Gzip that was cut at the limit is invalid too, but the limit is the cause.
    throw file.truncated ? fileTooLarge(maxBytes) : toUploadFailure(error);
  }
  if (file.truncated) throw fileTooLarge(maxBytes);
}

/** Expands gzip of one or many members. @throws InvalidInput `invalid_gzip`; OverLimit as above. */
export async function* gunzip(source: Readable, maxBytes: number): AsyncGenerator<Buffer> {
  try {
    yield* limitBytes(gunzipStream(source), maxBytes);
  } catch (error) {
    throw isGzipError(error) ? invalidGzip(error) : error;
  }
}

/** Reads the first bytes of a stream. @returns them, and the whole content from its start. */
async function peek(source: Readable): Promise<{ head: Buffer; content: Readable }> {
  const parts = source[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>;
  const read: Buffer[] = [];
  for (let bytes = 0; bytes < signatureBytes;) {
    const { done, value } = await parts.next();
    if (done) break;
    read.push(value);
    bytes += value.length;
  }
  const content = async function* () {
    yield* read;
    yield* { [Symbol.asyncIterator]: () => parts };
  };
  return { head: Buffer.concat(read), content: Readable.from(content(), { objectMode: false }) };
}

async function* limitBytes(source: AsyncIterable<Buffer>, maxBytes: number): AsyncGenerator<Buffer> {
  let bytes = 0;
  for await (const chunk of source) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw fileTooLarge(maxBytes);
    yield chunk;
  }
}

async function* gunzipStream(source: Readable): AsyncGenerator<Buffer> {
  let readBytes = 0;
  let writtenBytes = 0;
  source.on('data', (chunk: Buffer) => (readBytes += chunk.length));
  // The iterator below throws the error. Without the callback it would be thrown a second time, uncaught.
  const expanded = pipeline(source, createGunzip(), () => undefined);
  for await (const chunk of expanded as AsyncIterable<Buffer>) {
    writtenBytes += chunk.length;
    if (writtenBytes > expansionGraceBytes && writtenBytes > readBytes * maxExpansion) {
      throw new OverLimit(
        `This gzip file expands to more than ${maxExpansion} times its size. Upload it uncompressed.`,
        {
          code: 'expands_too_much',
          param: 'file',
        },
      );
    }
    yield chunk;
  }
}

export function fileTooLarge(maxBytes: number, param = 'file'): OverLimit {
  return new OverLimit(`The file is larger than the limit of ${maxBytes} bytes. Split it.`, {
    code: 'file_too_large',
    param,
  });
}

/** An error of the multipart parser means that the client sent a broken form. */
export function toUploadFailure(error: unknown): unknown {
  const { statusCode, name } = error as { statusCode?: number; name?: string };
  if (error instanceof Failure || statusCode || name === 'AbortError') return error;
  return new InvalidInput('The multipart body is incomplete, or does not match its boundary.', {
    code: 'invalid_multipart',
    cause: error,
  });
}

const isGzipError = (error: unknown) => (error as { code?: string }).code?.startsWith('Z_');

function invalidGzip(cause: unknown): InvalidInput {
  return new InvalidInput('The file is named .gz but is not complete, valid gzip. Compress it again.', {
    code: 'invalid_gzip',
    param: 'file',
    cause,
  });
}
