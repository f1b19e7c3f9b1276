/** Sends HTTP requests exactly as given: paths, headers and bodies that other clients would reject or change. */
import { once } from 'node:events';
import { Agent, request, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import type { Platform } from '../../support/platform.ts';

export interface RawResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The `error` of a JSON body. */
  readonly error: { message: string; type: string; param: string | null; code: string | null };
}

export interface RawRequest {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Record<string, string | string[]>;
  readonly body?: string | Uint8Array | AsyncIterable<Uint8Array>;
}

/** Sends a request with the platform's key. @returns the response, also if it arrives while the body is sent. */
export async function sendRaw(
  platform: Pick<Platform, 'url' | 'apiKey'>,
  options: RawRequest,
): Promise<RawResponse> {
  const { hostname, port } = new URL(platform.url);
  // With `connection: close`, the connection may be reset before the response to a refused body is read.
  const agent = new Agent({ keepAlive: true });
  const sent = request({
    hostname,
    port,
    method: options.method ?? (options.body === undefined ? 'GET' : 'POST'),
    path: options.path,
    headers: { authorization: `Bearer ${platform.apiKey}`, ...options.headers },
    agent,
  });
  const answered = once(sent, 'response') as Promise<[IncomingMessage]>;
  // The server may close the connection while the body is written. The response counts.
  const stopWriting = new AbortController();
  answered.then(
    () => stopWriting.abort(),
    () => stopWriting.abort(),
  );
  await writeBody(sent, options.body, stopWriting.signal);
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
  target: ReturnType<typeof request>,
  body: RawRequest['body'],
  answered: AbortSignal,
): Promise<void> {
  target.on('error', () => undefined);
  if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) {
    target.end(body);
    return;
  }
  for await (const chunk of body) {
    if (answered.aborted) break;
    if (!target.write(chunk)) await once(target, 'drain', { signal: answered }).catch(() => undefined);
  }
  target.end();
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

/** The bytes of a form, with its parts in the given order. */
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

/** Uploads a batch file as a stream, without a Content-Length. */
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

/** Repeats a piece, in blocks of about 64 KiB. */
export async function* repeatBytes(piece: string | Uint8Array, times: number): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(piece as string);
  const perBlock = Math.max(1, Math.floor(65_536 / bytes.length));
  const block = Buffer.concat(Array(perBlock).fill(bytes));
  for (let left = times; left > 0; left -= perBlock) {
    yield left >= perBlock ? block : block.subarray(0, left * bytes.length);
  }
}
