/**
 * The only way to an upstream: every provider and every client library sends its requests through `fetchUpstream`. Here
 * an upstream's text is made storable and its size is bounded, an error status becomes an error with the server's words,
 * and no time-out applies but ours: the call's signal ends it.
 */
import { Agent, Dispatcher1Wrapper } from 'undici';
import { parseJson } from './parse-json.ts';
import { readErrorBody } from './read-error.ts';
import { StorableBytes } from './storable-text.ts';
import { AnswerTooLarge, UpstreamRefusal } from './upstream-refusal.ts';

/** Times in ms, 0: none. undici's own defaults are 300 s for the headers and 300 s between two parts of a body. */
export const upstreamLimits = {
  connectMs: 10_000,
  headersTimeout: 0,
  bodyTimeout: 0,
  maxHeaderBytes: 64 * 2 ** 10,
  /** Of an answer in text. */
  maxTextBytes: 256 * 2 ** 20,
  /** Of a file: an image, a video. */
  maxFileBytes: 2 ** 30,
  /** Of the body of an error. */
  maxErrorBytes: 64 * 2 ** 10,
} as const;

const { connectMs, headersTimeout, bodyTimeout, maxHeaderBytes } = upstreamLimits;

export const upstreamAgentOptions = {
  connect: { timeout: connectMs },
  headersTimeout,
  bodyTimeout,
  maxHeaderSize: maxHeaderBytes,
  pipelining: 1,
  allowH2: false,
} satisfies Agent.Options;

/** Node's `fetch` has an older undici inside, so the dispatcher is adapted to it. */
const dispatcher = new Dispatcher1Wrapper(new Agent(upstreamAgentOptions));

/** @throws UpstreamRefusal for a status of 400 or more; what `fetch` throws. */
export const fetchUpstream: typeof fetch = async (url, init) => {
  const response = await fetch(url, { ...init, dispatcher } as RequestInit);
  const answer = toStorable(response);
  if (response.ok) return answer;
  const { status, headers } = response;
  const text = await readAtMost(answer, upstreamLimits.maxErrorBytes);
  throw new UpstreamRefusal({ ...readErrorBody(text), status, headers });
};

/** Types whose bytes are not text. */
const binaryType = /^(image|audio|video|font)\/|^application\/(octet-stream|zip|pdf|ogg|x-tar|gzip)/i;

function toStorable(response: Response): Response {
  if (!response.body) return response;
  const type = response.headers.get('content-type') ?? '';
  const text = type === '' ? 'unknown' : binaryType.test(type) ? 'no' : 'yes';
  const { status, statusText, headers } = response;
  const body = response.body.pipeThrough(createRewriter(text));
  const copy = new Response(body, { status, statusText, headers });
  Object.defineProperty(copy, 'url', { value: response.url });
  // The client libraries call it for answers in JSON.
  Object.defineProperty(copy, 'json', { value: async () => parseJson(await copy.text()) });
  return copy;
}

/** A body without a type is text if it begins as JSON or HTML does, or has no control characters at its start. */
function beginsAsText(chunk: Uint8Array): boolean {
  const start = Buffer.from(chunk).toString('latin1', 0, 512);
  return /^\s*[{["<]/.test(start) || !/[\x00-\x08\x0e-\x1f]/.test(start);
}

function createRewriter(text: 'yes' | 'no' | 'unknown'): TransformStream<Uint8Array, Uint8Array> {
  let isText = text === 'unknown' ? null : text === 'yes';
  const storable = new StorableBytes();
  let bytes = 0;
  return new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      isText ??= beginsAsText(chunk);
      const maxBytes = isText ? upstreamLimits.maxTextBytes : upstreamLimits.maxFileBytes;
      bytes += chunk.byteLength;
      if (bytes > maxBytes) throw new AnswerTooLarge(maxBytes);
      const out = isText ? storable.add(chunk) : chunk;
      if (out.byteLength > 0) controller.enqueue(out);
    },
    flush(controller) {
      const out = storable.end();
      if (out.byteLength > 0) controller.enqueue(out);
    },
  });
}

/** The rest is not received. A body that breaks off gives what came of it: the status says enough. */
async function readAtMost({ body }: Response, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const reader = body?.getReader() as ReadableStreamDefaultReader<Uint8Array> | undefined;
  try {
    for (let part = await reader?.read(); part?.value; part = await reader?.read()) {
      chunks.push(part.value);
      bytes += part.value.byteLength;
      if (bytes >= maxBytes) break;
    }
    await reader?.cancel();
  } catch {
    // The status is reported anyway.
  }
  return Buffer.concat(chunks).subarray(0, maxBytes).toString();
}
