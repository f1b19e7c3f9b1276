/**
 * `/v1/images/generations` and `/v1/images/edits`. Servers return images as base64, as a data URI, or as a URL, which is
 * downloaded.
 */
import type OpenAI from 'openai';
import type { Media } from '#catalogue';
import { toObjects, type Fields } from '../completion-choices.ts';
import { invalidOutput } from '../failures.ts';
import { toMedia } from '../response-media.ts';
import type { Handler, ModelAccess } from '../run.ts';
import { parseUsage } from '../usage.ts';
import type { Answer, Connection } from './connection.ts';
import { toUploadFile } from './upload-file.ts';

export const textToImage =
  (connection: Connection): Handler<'text-to-image'> =>
  async (
    { model, credential, input: { metadata: _, width, height, size = formatSize(width, height), ...input } },
    { signal },
  ) => {
    const body = { ...input, size, model } as unknown as OpenAI.ImageGenerateParamsNonStreaming;
    const answer = await connection.callForJson({ model, credential }, signal, (client) =>
      client.images.generate(body, { signal }),
    );
    const prompt = toObjects(answer['data'])[0]?.['revised_prompt'];
    return {
      ...(await readImages(connection, answer, signal)),
      ...(typeof prompt === 'string' && { revised_prompt: prompt }),
    };
  };

const formatSize = (width?: number, height?: number) => (width && height ? `${width}x${height}` : undefined);

export const imageToImage =
  (connection: Connection): Handler<'image-to-image'> =>
  async ({ model, credential, input: { metadata: _, image, prompt = '', ...input } }, { signal }) => {
    const images = await Promise.all([image].flat().map(toUploadFile));
    const body = { ...input, prompt, model, image: images.length === 1 ? images[0]! : images };
    return editImage(connection, body, { model, credential }, signal);
  };

export const inpainting =
  (connection: Connection): Handler<'inpainting'> =>
  async ({ model, credential, input: { metadata: _, image, mask, ...input } }, { signal }) => {
    const [imageFile, maskFile] = await Promise.all([toUploadFile(image), toUploadFile(mask)]);
    const body = { ...input, model, image: imageFile, mask: maskFile };
    return editImage(connection, body, { model, credential }, signal);
  };

async function editImage(
  connection: Connection,
  body: OpenAI.ImageEditParamsNonStreaming,
  access: ModelAccess,
  signal: AbortSignal,
) {
  const answer = await connection.callForJson(access, signal, (client) =>
    client.images.edit(body, { signal }),
  );
  return readImages(connection, answer, signal);
}

async function readImages(connection: Connection, answer: Answer, signal: AbortSignal) {
  const items = toObjects(answer['data'] ?? answer['images'] ?? answer.list);
  if (items.length === 0) throw invalidOutput('it has no images', undefined, answer);
  const images = await Promise.all(items.map((item) => readImage(connection, item, signal)));
  const usage = parseUsage(answer.usage);
  return { images, ...(usage && { usage }) };
}

async function readImage(connection: Connection, item: Fields, signal: AbortSignal): Promise<Media> {
  const { b64_json: base64, url } = item;
  const [, type, data] = typeof url === 'string' ? (/^data:([^;,]*)[^,]*;base64,(.*)$/s.exec(url) ?? []) : [];
  if (typeof base64 === 'string' && base64 !== '')
    return toMedia(Buffer.from(base64.replace(/^data:[^,]*,/, ''), 'base64'), 'image/png');
  if (data !== undefined) return toMedia(Buffer.from(data, 'base64'), type || 'image/png');
  if (typeof url === 'string' && url !== '') return connection.download(url, 'image/png', signal);
  throw invalidOutput('an image is neither in b64_json nor at a url', undefined, item);
}
