/** Turns the errors of a call into failures that the call policy classifies and records contain. */
import { toErrorType, type WireError } from '@millrace/contracts';
import { InvalidInput, ProviderFailure, type Failure } from '#domain';
import type { Logger } from '#telemetry';

/** The reason of a call's time-out. It counts as the provider's failure. */
export const createCallTimeout = (): DOMException =>
  new DOMException('The call took too long.', 'TimeoutError');

/** An error that the provider's adapter did not translate is a bug of ours. @param inputs of the call, for the log */
export function toProviderFailure(error: unknown, inputs: number, log: Logger): ProviderFailure {
  if (error instanceof ProviderFailure) return error;
  if (error instanceof InvalidInput) {
    return new ProviderFailure(error.message, {
      code: error.code,
      param: error.param ?? undefined,
      status: 400,
      retryable: false,
    });
  }
  if (error instanceof DOMException && error.name === 'TimeoutError') {
    return new ProviderFailure('The provider did not answer in time.', {
      code: 'request_timeout',
      status: 408,
      retryable: true,
    });
  }
  return internalFailure(error, inputs, log);
}

/** The response hides the error, the log has it. */
export function internalFailure(error: unknown, inputs: number, log: Logger): ProviderFailure {
  log.error({ err: error, inputs }, 'inputs failed with an internal error');
  return new ProviderFailure('An internal error occurred while this request ran.', {
    code: 'internal_error',
    status: 500,
    retryable: false,
    cause: error,
  });
}

/** The error object of a failed line or task. */
export function toWireError(failure: Failure): WireError {
  return {
    message: failure.message,
    type: toErrorType(failure.status),
    param: failure.param,
    code: failure.code,
  };
}
