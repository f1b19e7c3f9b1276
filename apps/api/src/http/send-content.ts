/** Sends stored bytes: a file's segments or one object, whole or a range of them. */
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { buildContentDisposition, type ByteRange } from '#storage';
import { createResponseAbortSignal } from './client-disconnect.ts';
import { parseRange } from './byte-range.ts';

export interface Content {
  readonly bytes: number;
  readonly contentType: string;
  readonly filename: string | null;
  open(range: ByteRange | null, signal: AbortSignal): Readable | Promise<Readable>;
}

/** @throws InvalidInput `range_not_satisfiable` */
export async function sendContent(
  request: FastifyRequest,
  reply: FastifyReply,
  content: Content,
): Promise<void> {
  const range = parseContentRange(request, reply, content.bytes);
  const length = range ? range.end - range.start + 1 : content.bytes;
  void reply
    .status(range ? 206 : 200)
    .header('content-type', content.contentType)
    .header('content-length', length)
    .header('accept-ranges', 'bytes')
    .header('cache-control', 'private, no-store')
    // What users uploaded is never to run as a page of this origin.
    .header('x-content-type-options', 'nosniff')
    .header('content-security-policy', 'sandbox');
  if (range) void reply.header('content-range', `bytes ${range.start}-${range.end}/${content.bytes}`);
  if (content.filename) void reply.header('content-disposition', buildContentDisposition(content.filename));
  if (length === 0 || request.method === 'HEAD') {
    // A stream, for of a buffer Fastify would tell HEAD the length: none.
    await reply.send(Readable.from([]));
    return;
  }
  await reply.send(await content.open(range, createResponseAbortSignal(reply)));
}

/** Ranges are for GET; `If-Range` wants a validator, and these answers have none, so it never holds. */
function parseContentRange(request: FastifyRequest, reply: FastifyReply, bytes: number): ByteRange | null {
  if (request.method !== 'GET' || request.headers['if-range'] !== undefined) return null;
  try {
    return parseRange(request.headers.range, bytes);
  } catch (error) {
    void reply.header('content-range', `bytes */${bytes}`);
    throw error;
  }
}
