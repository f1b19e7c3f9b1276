/** Requests to addresses that someone else named: judged, pinned, never redirected, bounded in time and size. */
import { Agent } from 'undici';
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
  /** From the look-up of the name to the last byte of the answer, in ms. */
  readonly timeoutMs: number;
  /** Bytes of the answer's body that are read; the connection is closed on the rest. */
  readonly maxBytes: number;
  readonly signal?: AbortSignal;
}

export interface OutboundResponse {
  /** Any, redirects included: none is followed. */
  readonly status: number;
  /** Names in lower case; of a header that came several times the first. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** There was more than `maxBytes`. */
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

/** No whole answer came. The next try may fare better. */
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
   * Judges without a request. A name that the DNS is silent about passes: it is judged again when it is called.
   * @throws RefusedUrl
   */
  checkUrl(url: string): Promise<void>;
  /** @throws RefusedUrl, OutboundFailure */
  send(request: OutboundRequest): Promise<OutboundResponse>;
  /** Ends what is under way. */
  close(): Promise<void>;
}

const maxHeaderBytes = 16_384;

export function createOutbound(options: OutboundOptions): Outbound {
  const agent = new Agent({
    connect: createGuardedConnector(options),
    // One request a socket: an answer that does not come holds up no other.
    pipelining: 1,
    maxHeaderSize: maxHeaderBytes,
    keepAliveTimeout: 4_000,
    keepAliveMaxTimeout: 30_000,
    // The whole request has one clock, below.
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
      const clock = AbortSignal.timeout(timeoutMs);
      try {
        const answer = await agent.request({
          origin: url.origin,
          path: url.pathname + url.search,
          method,
          headers: { 'accept-encoding': 'identity', ...headers },
          body: body ?? null,
          signal: signal ? AbortSignal.any([clock, signal]) : clock,
        });
        const read = await readUpTo(answer.body, maxBytes);
        return { status: answer.statusCode, headers: takeFirstValues(answer.headers), ...read };
      } catch (error) {
        if (error instanceof RefusedUrl) throw error;
        throw toOutboundFailure(error, clock, timeoutMs);
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
    // Leaving the loop destroys the body, and with it the socket: the rest is never received.
    if (bytes > maxBytes) break;
  }
  return { body: Buffer.concat(chunks), isTruncated: bytes > maxBytes };
}

function takeFirstValues(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  const entries = Object.entries(headers).map(([name, value]) => [name, [value].flat()[0] ?? '']);
  return Object.fromEntries(entries) as Record<string, string>;
}

function toOutboundFailure(error: unknown, clock: AbortSignal, timeoutMs: number): OutboundFailure {
  const { code = '', name = '' } = (error ?? {}) as { code?: string; name?: string };
  if (clock.aborted) {
    return new OutboundFailure('timeout', `no whole answer within ${timeoutMs / 1_000} s`, error);
  }
  if (name === 'AbortError' || name === 'TimeoutError') {
    return new OutboundFailure('aborted', 'the request was broken off', error);
  }
  for (const [pattern, failure, message] of failurePatterns) {
    if (pattern.test(code || name)) return new OutboundFailure(failure, message, error);
  }
  return new OutboundFailure('connection_failed', 'the connection failed', error);
}

const failurePatterns: readonly (readonly [RegExp, OutboundFailureCode, string])[] = [
  [/^(UND_ERR_CONNECT_TIMEOUT|ETIMEDOUT)$/, 'timeout', 'no connection within the time for one'],
  [
    /^(ENOTFOUND|EAI_|ESERVFAIL|EREFUSED|ETIMEOUT|ENODATA|ECANCELLED)/,
    'dns_failed',
    'the DNS gave no answer',
  ],
  [/^ECONNREFUSED$/, 'connection_refused', 'the host refused the connection'],
  [/^(ECONNRESET|EPIPE|UND_ERR_SOCKET)$/, 'connection_reset', 'the connection ended before the answer did'],
  [
    /^(HPE_|HTTPParserError|UND_ERR_HEADERS|UND_ERR_RES)/,
    'answer_invalid',
    'what came back is not HTTP, or its headers are too large',
  ],
  [
    /^(ERR_(TLS|SSL)|CERT_|DEPTH_|SELF_|UNABLE_|EPROTO)/,
    'tls_failed',
    'TLS failed: is the certificate valid for this host?',
  ],
];
