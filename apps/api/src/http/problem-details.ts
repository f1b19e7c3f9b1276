/** Errors of the native API: RFC 9457 problem details, with the same codes as OpenAI's error format. */
import type { ProblemDetails, WireError } from '@millrace/contracts';

/** Paths of the native API. All other paths return errors in OpenAI's format. */
const native = /^\/v1\/(tasks|workers|kinds)(?=[/?]|$)/;

export const isNativePath = (url: string): boolean => native.test(url);

/** @param title reason phrase of the status, as RFC 9457 requires for `about:blank`. */
export function toProblemDetails(
  wire: WireError,
  status: number,
  title: string,
  instance: string,
): ProblemDetails {
  const { message: detail, code, param } = wire;
  // OpenAI's client shows `error.message`, for problem JSON too.
  return { type: 'about:blank', title, status, detail, instance, code, param, error: wire };
}
