/** Faults that a test scripts, in code or over HTTP. Each says which calls it affects, and how many. */
import type { UpstreamCall, Reply } from './call.ts';

export interface Fault {
  /** Affects calls whose path contains this. @default all */
  readonly path?: string;
  readonly method?: string;
  /** Affects calls whose body, as JSON, contains this. */
  readonly bodyContains?: string;
  /** Number of matching calls that succeed first. */
  readonly skip?: number;
  /** Number of calls that it affects. @default all */
  readonly times?: number;
  /** Replies with this status, and with the headers and body if given. */
  readonly status?: number;
  /** Without a status: added to those of the normal reply. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: unknown;
  /** Never replies. */
  readonly hang?: boolean;
  /** Closes the connection before it replies. */
  readonly reset?: boolean;
  /** Sends half of the body and closes the connection. */
  readonly truncate?: boolean;
  /** Sends one byte at a time, with this pause in ms. */
  readonly dripMs?: number;
  /** Returns one result too few. */
  readonly wrongCount?: boolean;
  /** Returns `NaN` in a vector: in JSON as Python writes it, or in the vector's bytes. */
  readonly nan?: boolean;
  /** The last vector has one number too few. */
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

  /** @returns the first fault that affects this call, and counts the call. */
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

/** @returns the reply with the fault applied. */
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

/** JSON as Python writes it: with `NaN`, which no strict parser accepts. */
export const toPythonJson = (value: unknown): string =>
  JSON.stringify(value, (_, item: unknown) => (Number.isNaN(item) ? '\u0000NaN' : item)).replaceAll(
    '"\\u0000NaN"',
    'NaN',
  );
