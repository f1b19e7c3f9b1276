/** What leaves this library when the backend does not answer, and what may be said of an error in a log. */
import type { Logger } from '#telemetry';
import { Failure, Unavailable } from '#domain';

export interface LoggableError {
  readonly name: string;
  readonly code?: string;
  readonly message: string;
  readonly stack?: string;
}

/**
 * An error's own words and nothing that hangs on it: ioredis attaches the command it sent, and for a refused
 * `AUTH` that command holds the password.
 */
export function toLoggableError(error: unknown): LoggableError {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error) };
  const { code } = error as { code?: unknown };
  // An AggregateError (every address of a host refused) has no message of its own.
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
  return new Unavailable('the queue does not answer; try again shortly', {
    code: 'queue_unavailable',
    cause,
  });
}

/**
 * The work's result, or `Unavailable` after `ms`. Work that was too late may still take effect: a job is
 * idempotent by its id and its delivery number, so that sending it again is safe.
 */
export async function callWithTimeout<T>(ms: number, work: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in ${ms} ms`)), ms);
  });
  const answer = work();
  answer.catch(() => undefined);
  try {
    return await Promise.race([answer, tooLate]);
  } catch (error) {
    if (error instanceof Failure || error instanceof TypeError) throw error;
    throw toUnavailable(error);
  } finally {
    clearTimeout(timer);
  }
}

const logIntervalMs = 10_000;

/** A backend that is down fails every command: one line in ten seconds, with how many were left out. */
export function throttleErrorLog(log: Logger, message: string): (error: unknown) => void {
  let lastAt = -Infinity;
  let leftOut = 0;
  return (error) => {
    if (performance.now() - lastAt < logIntervalMs) {
      leftOut++;
      return;
    }
    const { stack: _, ...said } = toLoggableError(error);
    log.warn({ error: said, ...(leftOut > 0 && { leftOut }) }, message);
    lastAt = performance.now();
    leftOut = 0;
  };
}
