/** Reads the body of a direct request, JSON or form, and maps it to a task request by the endpoint's table entry. */
import type { MultipartFile } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import { InvalidInput } from '#domain';
import type { Fields, OpenAiEndpoint } from '#openai-endpoints';
import type { TaskRequest } from '../tasks/task-request.ts';

export interface OpenAiRequest {
  /** The fields as the client sent them. Files of a form are base64. */
  readonly body: Fields;
  readonly task: TaskRequest;
}

const fileMaxBytes = 32 * 2 ** 20;
const formLimits = { fileSize: fileMaxBytes, files: 1, fields: 32 };

/** @param json the parsed body of a JSON request. @throws InvalidInput */
export async function parseRequest(
  endpoint: OpenAiEndpoint,
  request: FastifyRequest,
  json: unknown,
): Promise<OpenAiRequest> {
  const acceptsForm = endpoint.accepts.includes('form');
  const body = acceptsForm && request.isMultipart() ? await readForm(request, endpoint) : json;
  if (!isObject(body)) {
    throw new InvalidInput(`Send a JSON object${acceptsForm ? ' or a form' : ''}.`, {
      code: 'invalid_request',
    });
  }
  return {
    body,
    task: {
      kind: endpoint.chooseKind(body),
      body: endpoint.toKindBody?.(body) ?? body,
      ...(endpoint.fieldNames && { fieldNames: endpoint.fieldNames }),
    },
  };
}

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

async function readForm(request: FastifyRequest, { jsonFormFields = [] }: OpenAiEndpoint): Promise<Fields> {
  const fields: Record<string, unknown> = {};
  for await (const part of request.parts({ limits: formLimits })) {
    const { fieldname: name } = part;
    if (part.type === 'file') fields[name] = await readBase64(part);
    else fields[name] = jsonFormFields.includes(name) ? parseJsonField(part.value) : part.value;
  }
  return fields;
}

async function readBase64(part: MultipartFile): Promise<string> {
  const bytes = await part.toBuffer().catch(() => {
    throw new InvalidInput(`'${part.fieldname}' is larger than ${fileMaxBytes / 2 ** 20} MB.`, {
      code: 'media_too_large',
      param: part.fieldname,
    });
  });
  return bytes.toString('base64');
}

/** @returns text that is not JSON as it is: the kind's schema then says what is wrong with the field. */
function parseJsonField(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value) as unknown;
  } catch {
    return value;
  }
}
