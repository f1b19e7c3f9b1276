/** Answers errors: OpenAI's format `{"error":{message,type,param,code}}`, or problem details; with headers that control retries. */
import { STATUS_CODES } from 'node:http';
import { Catch, HttpException, Inject, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { toErrorType, type WireError, type WireLinesError } from '@millrace/contracts';
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
import { findUnknownRoute } from './unknown-routes.ts';
import { isNativePath, toProblemDetails } from './problem-details.ts';

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
    if (isUnknownRoute(error)) {
      sendUnknownRoute(request, reply);
      return;
    }
    drainRequest(request, reply);
    for (const [name, value] of Object.entries(buildRetryHeaders(error, status)))
      void reply.header(name, value);
    sendError(request, reply, status, toWireError(error, status));
  }
}

function sendError(request: FastifyRequest, reply: FastifyReply, status: number, wire: WireError): void {
  if (isNativePath(request.url)) {
    const problem = toProblemDetails(wire, status, STATUS_CODES[status] ?? 'Error', request.id);
    void reply.status(status).type('application/problem+json').send(problem);
  } else void reply.status(status).send({ error: wire });
}

/** Thrown by Nest for a path or a method without a route. */
const isUnknownRoute = (error: unknown) => error instanceof HttpException && error.getStatus() === 404;

function sendUnknownRoute(request: FastifyRequest, reply: FastifyReply): void {
  drainRequest(request, reply);
  const { status, message, allow } = findUnknownRoute(request);
  if (allow.length > 0) void reply.header('allow', allow.join(', '));
  const code = status === 405 ? 'method_not_allowed' : 'unknown_url';
  sendError(request, reply, status, {
    message,
    type: toErrorType(status),
    param: null,
    code,
  });
}

/** The worker has logged these. */
const isLoggedByWorker = (error: unknown) => error instanceof ProviderFailure || error instanceof TimedOut;

/** Errors of Fastify (body too large, invalid JSON) have a `statusCode`. */
function getStatus(error: unknown): number {
  if (error instanceof InvalidInput && error.code === 'range_not_satisfiable') return 416;
  if (error instanceof Failure) return error.status;
  if (error instanceof HttpException) return error.getStatus();
  const { statusCode } = error as { statusCode?: unknown };
  return typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500 ? statusCode : 500;
}

/** @param status chooses the `type`, and hides what an unexpected error says from 500 on. */
export function toWireError(error: unknown, status: number): WireError | WireLinesError {
  const type = toErrorType(status);
  if (error instanceof Failure) {
    const { message, param, code } = error;
    const lines = error instanceof InvalidLines && {
      errors: { object: 'list' as const, data: error.errors },
    };
    return { message, type, param, code, ...lines };
  }
  if (status >= 500) {
    return {
      message: 'An internal error occurred. The log has the details under the id of this request.',
      type,
      param: null,
      code: 'internal_error',
    };
  }
  const known = findFastifyError(error);
  if (known) return { ...known, type, param: null };
  return { message: (error as Error).message, type, param: null, code: null };
}

function buildRetryHeaders(error: unknown, status: number): Record<string, string> {
  if (status === 401) return { 'www-authenticate': 'Bearer' };
  // A retry would run a second time, beside the request that continues.
  if (status === 409 || error instanceof TimedOut) return { 'x-should-retry': 'false' };
  const isTemporary =
    error instanceof Unavailable || error instanceof OverLimit || error instanceof ProviderFailure;
  const retryAfterMs = isTemporary ? error.retryAfterMs : null;
  return retryAfterMs === null ? {} : { 'retry-after': String(Math.ceil(retryAfterMs / 1_000)) };
}
