/** Errors of the native API: RFC 9457 problem details, with the same codes as OpenAI's error format. */
import type { ProblemDetails, WireError } from '@millrace/contracts';

/** Paths of the native API. All other paths return errors in OpenAI's format. */
const native = /^\/v1\/(tasks|workers|kinds)(?=[/?]|$)/;

export const isNativePath = (url: string): boolean => native.test(url);

/** @param title reason phrase of the status, as RFC 9457 requires for `about:blank`. */
export function toProblemDetails(
  { message, code, param }: WireError,
  status: number,
  title: string,
  instance: string,
): ProblemDetails {
  return { type: 'about:blank', title, status, detail: message, instance, code, param };
}
