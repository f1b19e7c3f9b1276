/** Answers requests that fail before any route or hook runs: invalid URLs, and bytes that are not HTTP. */
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { WireError } from '@millrace/contracts';
import { findFastifyError } from './fastify-errors.ts';

const badRequest: WireError = {
  message: 'The request is not valid HTTP.',
  type: 'invalid_request_error',
  param: null,
  code: 'invalid_http',
};

/** By the error code of Node's parser. Any other is a 400. */
const statuses: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

/** Options for Fastify. */
export const malformedRequestHandlers = {
  frameworkErrors(
    error: Error & { statusCode?: number },
    request: FastifyRequest,
    reply: FastifyReply,
  ): void {
    const known = findFastifyError(error);
    void reply
      .header('x-request-id', request.id)
      .status(error.statusCode ?? 400)
      .send({ error: { ...badRequest, ...known } });
  },

  clientErrorHandler(error: Error & { code?: string }, socket: Socket): void {
    if (error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy(error);
      return;
    }
    const status = statuses[error.code ?? ''] ?? 400;
    const body = JSON.stringify({ error: badRequest });
    socket.end(
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: application/json\r\n` +
        `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
    );
  },
};
