/** Codes and messages for the errors of Fastify and its plugins: requests that are refused before a route runs. */

interface FastifyError {
  readonly code: string;
  readonly message: string;
}

const fastifyErrors: Readonly<Record<string, FastifyError>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: {
    code: 'request_too_large',
    message: 'The body is larger than this route accepts. Upload large inputs as a file.',
  },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: {
    code: 'unsupported_media_type',
    message: 'Send JSON with content-type: application/json, or files as multipart/form-data.',
  },
  FST_ERR_CTP_EMPTY_JSON_BODY: {
    code: 'invalid_json',
    message: 'The content type is JSON, but the body is empty.',
  },
  FST_ERR_CTP_INVALID_JSON_BODY: { code: 'invalid_json', message: 'The body is not valid JSON.' },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: {
    code: 'invalid_content_length',
    message: 'The length of the body is not its Content-Length.',
  },
  FST_ERR_BAD_URL: { code: 'invalid_url', message: 'The path of the URL is not valid.' },
  FST_ERR_MAX_PARAM_LENGTH: { code: 'invalid_url', message: 'A part of the path is too long to be an id.' },
  FST_PROTO_VIOLATION: { code: 'invalid_multipart', message: 'The form has a field with a forbidden name.' },
  FST_PARTS_LIMIT: { code: 'too_many_fields', message: 'The form has too many parts.' },
  FST_FIELDS_LIMIT: { code: 'too_many_fields', message: 'The form has too many fields.' },
  FST_INVALID_JSON_FIELD_ERROR: {
    code: 'invalid_multipart',
    message: 'A field of the form has a JSON content type, but is not JSON.',
  },
  FST_MP_PREMATURE_CLOSE: {
    code: 'request_aborted',
    message: 'The body ended before the form was complete.',
  },
};

/** @returns null for any other error. Nest wraps errors of Fastify: then `cause` is looked up. */
export function findFastifyError(error: unknown): FastifyError | null {
  const { code = '', cause } = error as { code?: string; cause?: unknown };
  if (Object.hasOwn(fastifyErrors, code)) return fastifyErrors[code]!;
  if (cause instanceof Error) return findFastifyError(cause);
  // The message of JSON.parse quotes the body, which must not be logged or returned.
  return error instanceof SyntaxError ? fastifyErrors['FST_ERR_CTP_INVALID_JSON_BODY']! : null;
}
