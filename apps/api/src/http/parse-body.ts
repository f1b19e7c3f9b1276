/**
 * Reads request bodies. Nest's own parsers are off: a body-less request may carry any content type (Python's OpenAI client
 * sends `application/json` with `content-length: 0`), numbers stay as written, and an error says what to send instead.
 */
import { isUtf8 } from 'node:buffer';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { InvalidInput, parseExactJson, UnsupportedMediaType } from '#domain';

export function registerBodyParsers(fastify: FastifyInstance, bodyLimit: number): void {
  fastify.removeAllContentTypeParsers();
  const json = /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i;
  fastify.addContentTypeParser(json, { parseAs: 'buffer', bodyLimit }, (_, body, done) => {
    try {
      done(null, parseJsonBody(body as Buffer));
    } catch (error) {
      done(error as Error);
    }
  });
  fastify.addContentTypeParser('*', (request, _, done) => {
    if (request.headers['content-length'] === '0') done(null, undefined);
    else done(buildUnsupportedType(request));
  });
}

/** @returns undefined for an empty body. @throws InvalidInput `invalid_json` */
function parseJsonBody(bytes: Buffer): unknown {
  if (!isUtf8(bytes)) {
    throw new InvalidInput('The body is not valid UTF-8. Encode the JSON as UTF-8.', {
      code: 'invalid_json',
    });
  }
  const text = bytes.toString('utf8').replace(/^\ufeff/, '');
  return text.trim() === '' ? undefined : parseExactJson(text);
}

function buildUnsupportedType(request: FastifyRequest): UnsupportedMediaType {
  const type = request.headers['content-type'];
  const isForm = type?.startsWith('application/x-www-form-urlencoded');
  const hint = isForm ? " curl's -d sends that type unless -H sets another." : '';
  return new UnsupportedMediaType(
    `The content-type header is ${type ? 'one that this route does not take' : 'missing'}.${hint} ` +
      'Send JSON with content-type: application/json, or files as multipart/form-data.',
    { param: 'content-type' },
  );
}
