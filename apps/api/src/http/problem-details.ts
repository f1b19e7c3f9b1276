/** The native API's errors: RFC 9457 problem details, of the same failures and codes as OpenAI's shape. */
import type { WireError } from '@millrace/contracts';

/** Paths that are ours alone; all others answer as OpenAI's clients read it. */
const native = /^\/v1\/(tasks|workers|kinds)(?=[/?]|$)/;

export const isNativePath = (url: string): boolean => native.test(url);

export interface ProblemDetails {
  type: 'about:blank';
  title: string;
  status: number;
  detail: string;
  /** The request's id. */
  instance: string;
  code: string | null;
  param: string | null;
}

/** @param title the status in words, as `about:blank` wants it. */
export function toProblemDetails(
  { message, code, param }: WireError,
  status: number,
  title: string,
  instance: string,
): ProblemDetails {
  return { type: 'about:blank', title, status, detail: message, instance, code, param };
}
