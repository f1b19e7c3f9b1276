/** Requests to URLs that users provide. Addresses are checked and pinned, redirects are not followed, time and size are limited. */
import { Agent } from 'undici';
import { startTimeLimit, TimeoutError } from '#async';
import {
  resolveAllowedAddresses,
  createGuardedConnector,
  type OutboundOptions,
} from './guarded-connector.ts';
import { parseDestination, RefusedUrl } from './destination.ts';

export interface OutboundRequest {
  readonly url: string;
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** From the DNS look-up to the last byte of the response, in ms. */
  readonly timeoutMs: number;
  /** Bytes of the response body that are read. The connection is closed if there are more. */
  readonly maxBytes: number;
  readonly signal?: AbortSignal;
}

export interface OutboundResponse {
  /** Any status; a redirect is not followed. */
  readonly status: number;
  /** Names in lower case. Of a repeated header the first value. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** The body was longer than `maxBytes`. */
  readonly isTruncated: boolean;
}

export type OutboundFailureCode =
  | 'timeout'
  | 'aborted'
  | 'dns_failed'
  | 'connection_refused'
  | 'connection_failed'
  | 'connection_reset'
  | 'tls_failed'
  | 'answer_invalid';

/** No complete response arrived. A retry may succeed. */
export class OutboundFailure extends Error {
  constructor(
    readonly code: OutboundFailureCode,
    message: string,
    cause?: unknown,
  ) {
    super(message, { cause });
    this.name = 'OutboundFailure';
  }
}

export interface Outbound {
  /**
   * Checks a URL without a request. A host that the DNS does not answer for passes: `send` checks it again.
   * @throws RefusedUrl
   */
  checkUrl(url: string): Promise<void>;
  /** @throws RefusedUrl, OutboundFailure */
  send(request: OutboundRequest): Promise<OutboundResponse>;
  /** Aborts running requests. */
  close(): Promise<void>;
}

const maxHeaderBytes = 16_384;

export function createOutbound(options: OutboundOptions): Outbound {
  const agent = new Agent({
    connect: createGuardedConnector(options),
    // One request per socket at a time: a slow response delays no other request.
    pipelining: 1,
    maxHeaderSize: maxHeaderBytes,
    keepAliveTimeout: 4_000,
    keepAliveMaxTimeout: 30_000,
    // `send` limits the time of the whole request.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  return {
    async checkUrl(url) {
      try {
        await resolveAllowedAddresses(url, options);
      } catch (error) {
        if (error instanceof RefusedUrl) throw error;
      }
    },
    async send({ url: text, method, headers, body, timeoutMs, maxBytes, signal }) {
      const { url } = parseDestination(text, options);
      const limit = startTimeLimit(signal, timeoutMs);
      try {
        const response = await agent.request({
          origin: url.origin,
          path: url.pathname + url.search,
          method,
          headers: { 'accept-encoding': 'identity', ...headers },
          body: body ?? null,
          signal: limit.signal,
        });
        const read = await readUpTo(response.body, maxBytes);
        return { status: response.statusCode, headers: takeFirstValues(response.headers), ...read };
      } catch (error) {
        if (error instanceof RefusedUrl) throw error;
        throw toOutboundFailure(error, limit.signal, timeoutMs);
      } finally {
        limit.end();
      }
    },
    close: () => agent.destroy(),
  };
}

type Body = AsyncIterable<Buffer> & { destroy(): unknown };

async function readUpTo(body: Body, maxBytes: number): Promise<{ body: Buffer; isTruncated: boolean }> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    chunks.push(chunk.subarray(0, maxBytes - bytes));
    bytes += chunk.length;
    // Leaving the loop destroys the body and its socket: the rest is not received.
    if (bytes > maxBytes) break;
  }
  return { body: Buffer.concat(chunks), isTruncated: bytes > maxBytes };
}

function takeFirstValues(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  const entries = Object.entries(headers).map(([name, value]) => [name, [value].flat()[0] ?? '']);
  return Object.fromEntries(entries) as Record<string, string>;
}

function toOutboundFailure(error: unknown, signal: AbortSignal, timeoutMs: number): OutboundFailure {
  const { code = '', name = '' } = (error ?? {}) as { code?: string; name?: string };
  if (signal.aborted && signal.reason instanceof TimeoutError) {
    return new OutboundFailure('timeout', `no complete response within ${timeoutMs / 1_000} s`, error);
  }
  if (signal.aborted || name === 'AbortError' || name === 'TimeoutError') {
    return new OutboundFailure('aborted', 'the request was aborted', error);
  }
  for (const [pattern, failure, message] of failurePatterns) {
    if (pattern.test(code || name)) return new OutboundFailure(failure, message, error);
  }
  return new OutboundFailure('connection_failed', 'the connection failed', error);
}

const failurePatterns: readonly (readonly [RegExp, OutboundFailureCode, string])[] = [
  [/^(UND_ERR_CONNECT_TIMEOUT|ETIMEDOUT)$/, 'timeout', 'no connection within its time limit'],
  [
    /^(ENOTFOUND|EAI_|ESERVFAIL|EREFUSED|ETIMEOUT|ENODATA|ECANCELLED)/,
    'dns_failed',
    'the DNS did not answer',
  ],
  [/^ECONNREFUSED$/, 'connection_refused', 'the host refused the connection'],
  [
    /^(ECONNRESET|EPIPE|UND_ERR_SOCKET)$/,
    'connection_reset',
    'the connection was closed before the response was complete',
  ],
  [
    /^(HPE_|HTTPParserError|UND_ERR_HEADERS|UND_ERR_RES)/,
    'answer_invalid',
    'the response is not HTTP, or its headers are too large',
  ],
  [
    /^(ERR_(TLS|SSL)|CERT_|DEPTH_|SELF_|UNABLE_|EPROTO)/,
    'tls_failed',
    'TLS failed: is the certificate valid for this host?',
  ],
];
