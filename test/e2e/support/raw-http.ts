/** HTTP as no well-behaved client sends it: paths, headers and bodies go out exactly as given. */
import { once } from 'node:events';
import { Agent, request, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import type { Platform } from '../../support/platform.ts';

export interface RawResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The `error` of the body, where it is JSON and has one. */
  readonly error: { message: string; type: string; param: string | null; code: string | null };
}

export interface RawRequest {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Record<string, string | string[]>;
  readonly body?: string | Uint8Array | AsyncIterable<Uint8Array>;
}

/** Sends a request with the platform's key and reads the answer, also one that comes while it still sends. */
export async function sendRaw(
  platform: Pick<Platform, 'url' | 'apiKey'>,
  asked: RawRequest,
): Promise<RawResponse> {
  const { hostname, port } = new URL(platform.url);
  // As clients do: a connection that the request itself closes may be gone before a refusal is read.
  const agent = new Agent({ keepAlive: true });
  const sent = request({
    hostname,
    port,
    method: asked.method ?? (asked.body === undefined ? 'GET' : 'POST'),
    path: asked.path,
    headers: { authorization: `Bearer ${platform.apiKey}`, ...asked.headers },
    agent,
  });
  const answered = once(sent, 'response') as Promise<[IncomingMessage]>;
  // A refused body may end the connection while it is still being written; the answer counts.
  const gaveUp = new AbortController();
  answered.then(
    () => gaveUp.abort(),
    () => gaveUp.abort(),
  );
  await writeBody(sent, asked.body, gaveUp.signal);
  const [response] = await answered;
  let text = '';
  try {
    for await (const chunk of response.setEncoding('utf8')) text += chunk as string;
  } finally {
    agent.destroy();
  }
  return { status: response.statusCode!, headers: response.headers, text, error: parseError(text) };
}

async function writeBody(
  to: ReturnType<typeof request>,
  body: RawRequest['body'],
  answered: AbortSignal,
): Promise<void> {
  to.on('error', () => undefined);
  if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) {
    to.end(body);
    return;
  }
  for await (const chunk of body) {
    if (answered.aborted) break;
    if (!to.write(chunk)) await once(to, 'drain', { signal: answered }).catch(() => undefined);
  }
  to.end();
}

function parseError(text: string): RawResponse['error'] {
  try {
    return (JSON.parse(text) as { error: RawResponse['error'] }).error;
  } catch {
    return { message: text, type: '', param: null, code: null };
  }
}

export const boundary = 'millrace-test-boundary';

export type FormPart =
  | { readonly field: string; readonly value: string }
  | {
      readonly file: string;
      readonly name: string;
      readonly content: Uint8Array | AsyncIterable<Uint8Array>;
    };

/** A form's bytes, its parts in the order given. */
export async function* buildForm(parts: readonly FormPart[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) {
    const head = 'field' in part ? `name="${part.field}"` : `name="${part.file}"; filename="${part.name}"`;
    yield Buffer.from(`--${boundary}\r\ncontent-disposition: form-data; ${head}\r\n\r\n`);
    if ('field' in part) yield Buffer.from(part.value);
    else if (part.content instanceof Uint8Array) yield part.content;
    else yield* part.content;
    yield Buffer.from('\r\n');
  }
  yield Buffer.from(`--${boundary}--\r\n`);
}

export const batchPurpose: FormPart = { field: 'purpose', value: 'batch' };

/** Uploads one file for a batch, without a length, as a stream. */
export function uploadFileRaw(
  platform: Pick<Platform, 'url' | 'apiKey'>,
  content: Uint8Array | AsyncIterable<Uint8Array>,
  name = 'input.jsonl',
): Promise<RawResponse> {
  return sendFileForm(platform, [batchPurpose, { file: 'file', name, content }]);
}

export function sendFileForm(
  platform: Pick<Platform, 'url' | 'apiKey'>,
  parts: readonly FormPart[],
): Promise<RawResponse> {
  return sendRaw(platform, {
    path: '/v1/files',
    headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
    body: buildForm(parts),
  });
}

/** So many bytes of one piece over and over. */
export async function* repeatBytes(piece: string | Uint8Array, times: number): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(piece as string);
  const many = Math.max(1, Math.floor(65_536 / bytes.length));
  const block = Buffer.concat(Array(many).fill(bytes));
  for (let left = times; left > 0; left -= many) {
    yield left >= many ? block : block.subarray(0, left * bytes.length);
  }
}
