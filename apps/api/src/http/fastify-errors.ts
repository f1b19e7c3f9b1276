/** Requests that Fastify refuses before a route of ours sees them, in the house's own words and codes. */

interface FastifyError {
  readonly code: string;
  readonly message: string;
}

const fastifyErrors: Readonly<Record<string, FastifyError>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: {
    code: 'request_too_large',
    message: 'The body is larger than this route takes. Upload large inputs as a file.',
  },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: {
    code: 'unsupported_media_type',
    message: 'Send JSON with content-type: application/json, or files as multipart/form-data.',
  },
  FST_ERR_CTP_EMPTY_JSON_BODY: {
    code: 'invalid_json',
    message: 'The body is empty where JSON was promised.',
  },
  FST_ERR_CTP_INVALID_JSON_BODY: { code: 'invalid_json', message: 'The body is not valid JSON.' },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: {
    code: 'invalid_content_length',
    message: 'The body is not as long as its Content-Length says.',
  },
  FST_ERR_BAD_URL: { code: 'invalid_url', message: 'The address is not a valid URL path.' },
  FST_ERR_MAX_PARAM_LENGTH: {
    code: 'invalid_url',
    message: 'A part of the address is too long to be an id.',
  },
  FST_PROTO_VIOLATION: { code: 'invalid_multipart', message: 'A field has a name that no field may have.' },
  FST_PARTS_LIMIT: { code: 'too_many_fields', message: 'The form has too many parts.' },
  FST_FIELDS_LIMIT: { code: 'too_many_fields', message: 'The form has too many fields.' },
  FST_INVALID_JSON_FIELD_ERROR: {
    code: 'invalid_multipart',
    message: 'A field is not the JSON it says it is.',
  },
  FST_MP_PREMATURE_CLOSE: { code: 'request_aborted', message: 'The body ended before the form did.' },
};

/** @returns null where the error is not one of Fastify's that we know. Nest wraps them; theirs is the cause then. */
export function findFastifyError(error: unknown): FastifyError | null {
  const { code = '', cause } = error as { code?: string; cause?: unknown };
  if (Object.hasOwn(fastifyErrors, code)) return fastifyErrors[code]!;
  if (cause instanceof Error) return findFastifyError(cause);
  // JSON.parse quotes the body it could not read; we don't.
  return error instanceof SyntaxError ? fastifyErrors['FST_ERR_CTP_INVALID_JSON_BODY']! : null;
}
