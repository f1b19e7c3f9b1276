/** A request to the scripted upstream, for its routes and its log, and the reply to it. */
import type { IncomingMessage } from 'node:http';

export interface UpstreamCall {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  /** JSON, the fields of a form, or bytes. */
  readonly body: unknown;
  /** ms since the epoch. */
  readonly at: number;
  /** Set when the reply is sent. */
  status?: number;
  /** The client closed the connection before the reply was complete. */
  aborted?: boolean;
  /** Streams only: when each part was written, by this process's `performance` clock. */
  piecesAt?: number[];
}

export interface Reply {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: unknown;
  readonly bytes?: Uint8Array;
  /** Parts that are sent one by one: server-sent events or lines of NDJSON. */
  readonly pieces?: readonly string[];
  /** Number of inputs; each takes `Timing.itemMs`. */
  readonly items?: number;
}

export type Route = (call: UpstreamCall) => Reply | undefined;

export const getField = (call: UpstreamCall, name: string): unknown =>
  (call.body as Record<string, unknown> | null)?.[name];

/** OpenAI's error body: https://platform.openai.com/docs/guides/error-codes */
export const errorReply = (status: number, message: string, code: string | null = null): Reply => ({
  status,
  json: {
    error: { message, type: status < 500 ? 'invalid_request_error' : 'server_error', param: null, code },
  },
});

/** Parses the body by its content type. A file of a form becomes its bytes. */
export async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const bytes = Buffer.concat(chunks);
  const type = request.headers['content-type'] ?? '';
  if (bytes.length === 0) return null;
  if (type.startsWith('multipart/form-data')) return formOf(bytes, type);
  if (!type.startsWith('application/json') && bytes[0] !== 0x7b) return bytes;
  return JSON.parse(bytes.toString()) as unknown;
}

async function formOf(bytes: Buffer, type: string): Promise<Record<string, unknown>> {
  const form = await new Response(new Uint8Array(bytes), { headers: { 'content-type': type } }).formData();
  const fields: Record<string, unknown> = {};
  for (const [name, value] of form) {
    const given = typeof value === 'string' ? value : Buffer.from(await value.arrayBuffer());
    const isList = name.endsWith('[]') || name in fields;
    const key = name.replace(/\[\]$/, '');
    fields[key] = isList ? [...((fields[key] as unknown[] | undefined) ?? []), given] : given;
  }
  return fields;
}
