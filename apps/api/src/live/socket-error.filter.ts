/** A socket's errors: the code and message that an HTTP client gets, as the answer to the message. */
import { Catch, Inject, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { SubscribeAck } from '@millrace/contracts';
import { Failure } from '#domain';
import type { Logger } from '#telemetry';
import { toWireError } from '../http/error.filter.ts';
import { LOGGER } from '../infrastructure/tokens.ts';

@Catch()
export class SocketErrorFilter implements ExceptionFilter {
  constructor(@Inject(LOGGER) private readonly log: Logger) {}

  catch(error: unknown, host: ArgumentsHost): void {
    // The arguments are the client, its data, and its callback if it gave one.
    const answer: unknown = host.getArgByIndex(2);
    const { code, message } = toSocketError(error, this.log);
    if (typeof answer === 'function') (answer as (ack: SubscribeAck) => void)(buildRefusal(code, message));
  }
}

/** Logs an error that is not the client's. */
export function toSocketError(error: unknown, log: Logger): { code: string; message: string } {
  if (!(error instanceof Failure)) log.error({ err: error }, 'a socket request failed');
  const { code, message } = toWireError(error, error instanceof Failure ? error.status : 500);
  return { code: code ?? 'internal_error', message };
}

export const buildRefusal = (code: string, message: string): SubscribeAck => ({
  ok: false,
  error: { code, message },
});
