/** Failures as OpenAI's clients read them, `{"error":{message,type,param,code}}`, or as problem details; and headers that steer retries. */
import { STATUS_CODES } from 'node:http';
import { Catch, HttpException, Inject, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { WireError, WireLinesError } from '@millrace/contracts';
import {
  Failure,
  InvalidInput,
  InvalidLines,
  OverLimit,
  ProviderFailure,
  TimedOut,
  Unavailable,
} from '#domain';
import type { Logger } from '#telemetry';
import { LOGGER } from '../infrastructure/tokens.ts';
import { findFastifyError } from './fastify-errors.ts';
import { drainRequest } from './drain-request.ts';
import { isNativePath, toProblemDetails } from './problem-details.ts';

const types: Record<number, string> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  409: 'conflict_error',
  413: 'invalid_request_error',
  416: 'invalid_request_error',
  429: 'rate_limit_error',
};

@Catch()
export class ErrorFilter implements ExceptionFilter {
  constructor(@Inject(LOGGER) private readonly log: Logger) {}

  catch(error: unknown, host: ArgumentsHost): void {
    if (host.getType() !== 'http') {
      this.log.error({ err: error }, 'a socket request failed');
      return;
    }
    const request = host.switchToHttp().getRequest<FastifyRequest>();
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    const status = getStatus(error);
    if (status >= 500 && !(error instanceof Unavailable || isLoggedByWorker(error))) {
      this.log.error({ err: error, requestId: request.id }, 'a request failed');
    }
    if (reply.sent || reply.raw.headersSent) {
      reply.raw.destroy();
      return;
    }
    drainRequest(request, reply);
    for (const [name, value] of Object.entries(buildRetryHeaders(error, status)))
      void reply.header(name, value);
    const wire = toWireError(error, status);
    if (isNativePath(request.url)) {
      const problem = toProblemDetails(wire, status, STATUS_CODES[status] ?? 'Error', request.id);
      void reply.status(status).type('application/problem+json').send(problem);
    } else void reply.status(status).send({ error: wire });
  }
}

/** The worker has logged it. */
const isLoggedByWorker = (error: unknown) => error instanceof ProviderFailure || error instanceof TimedOut;

/** Fastify's own errors (body too large, bad JSON) carry a status of their own. */
function getStatus(error: unknown): number {
  if (error instanceof InvalidInput && error.code === 'range_not_satisfiable') return 416;
  if (error instanceof Failure) return error.status;
  if (error instanceof HttpException) return error.getStatus();
  const { statusCode } = error as { statusCode?: unknown };
  return typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500 ? statusCode : 500;
}

export function toWireError(error: unknown, status: number): WireError | WireLinesError {
  const type = types[status] ?? (status < 500 ? 'invalid_request_error' : 'server_error');
  if (error instanceof Failure) {
    const { message, param, code } = error;
    const lines = error instanceof InvalidLines && {
      errors: { object: 'list' as const, data: error.errors },
    };
    return { message, type, param, code, ...lines };
  }
  if (status >= 500) {
    return {
      message: 'Something went wrong here. The request id says where to look.',
      type,
      param: null,
      code: 'internal_error',
    };
  }
  const refusal = findFastifyError(error);
  if (refusal) return { ...refusal, type, param: null };
  if (error instanceof HttpException && status === 404) {
    return { message: 'No such route.', type, param: null, code: 'unknown_url' };
  }
  return { message: (error as Error).message, type, param: null, code: null };
}

function buildRetryHeaders(error: unknown, status: number): Record<string, string> {
  if (status === 401) return { 'www-authenticate': 'Bearer' };
  // Sent again it would be done again, beside the one that runs on.
  if (status === 409 || error instanceof TimedOut) return { 'x-should-retry': 'false' };
  const waits = error instanceof Unavailable || error instanceof OverLimit ? error.retryAfterMs : null;
  return waits === null ? {} : { 'retry-after': String(Math.ceil(waits / 1_000)) };
}
