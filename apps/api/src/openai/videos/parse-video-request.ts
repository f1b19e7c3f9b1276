/** What a video is to be, from JSON or from a form. */
import type { MultipartFile } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import { InvalidInput } from '#domain';

type Fields = Record<string, unknown>;

/** Bytes of a picture in a form. */
const maxBytes = 32 * 2 ** 20;

/** @returns the body as its kind reads it, with `image` where there is a picture to begin with. @throws InvalidInput */
export async function parseVideoRequest(request: FastifyRequest, json: unknown): Promise<Fields> {
  const given = request.isMultipart() ? await readForm(request) : json;
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new InvalidInput('Send a JSON object or a form.', { code: 'invalid_request' });
  }
  const { input_reference: reference, ...fields } = given as Fields;
  if (reference === undefined) return fields;
  return { ...fields, image: typeof reference === 'object' ? toMediaSource(reference as Fields) : reference };
}

/** OpenAI's JSON form of a reference. */
const toMediaSource = (reference: Fields) => reference['file_id'] ?? reference['image_url'];

async function readForm(request: FastifyRequest): Promise<Fields> {
  const fields: Fields = {};
  for await (const part of request.parts({ limits: { fileSize: maxBytes, files: 1, fields: 32 } })) {
    if (part.type === 'field') fields[part.fieldname] = parseField(part.fieldname, part.value);
    else fields[part.fieldname] = await readBase64(part);
  }
  return fields;
}

async function readBase64(part: MultipartFile): Promise<string> {
  const bytes = await part.toBuffer().catch(() => {
    throw new InvalidInput(`'${part.fieldname}' is larger than ${maxBytes / 2 ** 20} MB.`, {
      code: 'media_too_large',
      param: part.fieldname,
    });
  });
  return bytes.toString('base64');
}

/** A form has only text: numbers and metadata are read as the JSON that they are. */
function parseField(name: string, value: unknown): unknown {
  if (
    typeof value !== 'string' ||
    !['metadata', 'num_frames', 'fps', 'seed', 'guidance_scale'].includes(name)
  )
    return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}
