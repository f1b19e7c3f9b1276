/** What goes wrong with a call, scripted by a test or over HTTP: each fault says which calls it meets, and how many. */
import type { UpstreamCall, Reply } from './call.ts';

export interface Fault {
  /** Calls whose path contains this. Unset: any. */
  readonly path?: string;
  readonly method?: string;
  /** Calls whose body, as JSON, contains this. */
  readonly bodyContains?: string;
  /** Calls that it lets pass first. */
  readonly skip?: number;
  /** Calls that it meets. Unset: all that come. */
  readonly times?: number;
  /** Answers with this status, and the headers and body where given. */
  readonly status?: number;
  /** Without a status: beside those of the usual answer. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: unknown;
  /** Never answers. */
  readonly hang?: boolean;
  /** Breaks the connection before it answers. */
  readonly reset?: boolean;
  /** Sends half of the body and breaks the connection. */
  readonly truncate?: boolean;
  /** Sends a byte at a time, so many ms apart. */
  readonly dripMs?: number;
  /** One answer less than was asked for. */
  readonly wrongCount?: boolean;
  /** A number that is none: `NaN` in JSON as Python writes it, or in a vector's bytes. */
  readonly nan?: boolean;
  /** One number less in the last vector. */
  readonly wrongDimension?: boolean;
}

export class Faults {
  private readonly scripted: { readonly fault: Fault; met: number; passed: number }[] = [];

  script(fault: Fault): void {
    this.scripted.push({ fault, met: 0, passed: 0 });
  }

  clear(): void {
    this.scripted.length = 0;
  }

  /** @returns the first that meets this call, which then counts. */
  match(call: UpstreamCall): Fault | null {
    for (const one of this.scripted) {
      const { fault } = one;
      if (one.met >= (fault.times ?? Infinity) || !meets(fault, call)) continue;
      if (one.passed++ < (fault.skip ?? 0)) continue;
      one.met++;
      return fault;
    }
    return null;
  }
}

function meets({ path, method, bodyContains }: Fault, call: UpstreamCall): boolean {
  if (path !== undefined && !call.path.includes(path)) return false;
  if (method !== undefined && call.method !== method) return false;
  return bodyContains === undefined || JSON.stringify(call.body).includes(bodyContains);
}

/** The answer as the fault makes it. */
export function applyFault(reply: Reply, fault: Fault): Reply {
  if (fault.status !== undefined) {
    const {
      status,
      headers,
      json = { error: { message: `scripted ${status}`, type: 'scripted', code: null } },
    } = fault;
    return { status, headers, json };
  }
  const json = reply.json as { data?: { embedding?: unknown }[] } | unknown[] | undefined;
  const list = Array.isArray(json) ? json : json?.data;
  if (fault.wrongCount) list?.pop();
  if (fault.wrongDimension || fault.nan) spoilLast(list, fault);
  return fault.headers ? { ...reply, headers: { ...reply.headers, ...fault.headers } } : reply;
}

function spoilLast(list: unknown[] | undefined, { nan }: Fault): void {
  if (!list?.length) return;
  const at = list.length - 1;
  const last = list[at] as { embedding?: unknown } | number[];
  const vector = Array.isArray(last) ? last : last.embedding;
  const numbers = typeof vector === 'string' ? floatsOf(vector) : (vector as number[]);
  const spoilt = nan ? numbers.map((value, nth) => (nth === 0 ? NaN : value)) : numbers.slice(1);
  const written = typeof vector === 'string' ? toBase64(spoilt) : spoilt;
  list[at] = Array.isArray(last) ? written : { ...last, embedding: written };
}

export const toBase64 = (numbers: readonly number[]): string =>
  Buffer.from(new Float32Array(numbers).buffer).toString('base64');

function floatsOf(base64: string): number[] {
  const bytes = new Uint8Array(Buffer.from(base64, 'base64'));
  return [...new Float32Array(bytes.buffer)];
}

/** JSON as Python's writer makes it: what is not a number is written as such, and no parser takes it. */
export const toPythonJson = (value: unknown): string =>
  JSON.stringify(value, (_, item: unknown) => (Number.isNaN(item) ? '\u0000NaN' : item)).replaceAll(
    '"\\u0000NaN"',
    'NaN',
  );
