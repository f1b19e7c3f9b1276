/** Errors of this library when the backend does not answer, and errors without secrets for the log. */
import type { Logger } from '#telemetry';
import { withTimeout } from '#async';
import { Failure, Unavailable } from '#domain';

export interface LoggableError {
  readonly name: string;
  readonly code?: string;
  readonly message: string;
  readonly stack?: string;
}

/**
 * Copies name, code, message and stack, and no other property: ioredis attaches the command it sent, and for a
 * refused `AUTH` that command holds the password.
 */
export function toLoggableError(error: unknown): LoggableError {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error) };
  const { code } = error as { code?: unknown };
  // An AggregateError (every address of a host refused the connection) has an empty message.
  const message = error.message || (typeof code === 'string' ? code : error.name);
  return {
    name: error.name,
    ...(typeof code === 'string' && { code }),
    message,
    ...(error.stack !== undefined && { stack: error.stack }),
  };
}

export function toUnavailable(error: unknown): Unavailable {
  if (error instanceof Unavailable) return error;
  const { name, code, message } = toLoggableError(error);
  const cause = Object.assign(new Error(message), { name, ...(code !== undefined && { code }) });
  return new Unavailable('The queue does not answer. Try again shortly.', {
    code: 'queue_unavailable',
    cause,
  });
}

/**
 * Returns the result of `work`, or throws `Unavailable` after `ms`. A call that timed out may still take effect. Calling
 * again is safe: a job's id contains its generation, so that it is added once.
 */
export async function callWithTimeout<T>(ms: number, work: () => Promise<T>): Promise<T> {
  try {
    return await withTimeout(work(), ms);
  } catch (error) {
    if (error instanceof Failure || error instanceof TypeError) throw error;
    throw toUnavailable(error);
  }
}

const logIntervalMs = 10_000;

/** Logs one error in ten seconds, with the number of errors left out: a backend that is down fails every command. */
export function throttleErrorLog(log: Logger, message: string): (error: unknown) => void {
  let lastAt = -Infinity;
  let suppressed = 0;
  return (error) => {
    if (performance.now() - lastAt < logIntervalMs) {
      suppressed++;
      return;
    }
    const { stack: _, ...loggable } = toLoggableError(error);
    log.warn({ error: loggable, ...(suppressed > 0 && { suppressed }) }, message);
    lastAt = performance.now();
    suppressed = 0;
  };
}
