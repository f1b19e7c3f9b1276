/** `/v1/images/generations` and `/v1/images/edits`. Images come as base64, or where a server knows only that, by URL. */
import type OpenAI from 'openai';
import { toFile } from 'openai';
import type { Media } from '#catalogue';
import type { Handler } from '../provider.ts';
import { invalidOutput } from '../failures.ts';
import { parseUsage } from '../collect-stream.ts';
import { toMedia } from '../response-media.ts';
import type { Connection } from './connection.ts';

export const textToImage =
  (deps: Connection): Handler<'text-to-image'> =>
  async (
    { model, input: { metadata: _, width, height, size = sizeOf(width, height), ...input } },
    { signal },
  ) => {
    const body = { ...input, size, model } as unknown as OpenAI.ImageGenerateParamsNonStreaming;
    const answer = await deps.callForJson(signal, (client) => client.images.generate(body, { signal }));
    const usage = parseUsage(answer.usage);
    return {
      images: imagesOf(answer),
      revised_prompt: answer.data?.[0]?.revised_prompt,
      ...(usage && { usage }),
    };
  };

const sizeOf = (width?: number, height?: number) => (width && height ? `${width}x${height}` : undefined);

export const imageToImage =
  (deps: Connection): Handler<'image-to-image'> =>
  async ({ model, input: { metadata: _, image, prompt = '', ...input } }, { signal }) => {
    const images = await Promise.all([image].flat().map(toUploadFile));
    const body = { ...input, prompt, model, image: images.length === 1 ? images[0]! : images };
    return edited(deps, body, signal);
  };

export const inpainting =
  (deps: Connection): Handler<'inpainting'> =>
  async ({ model, input: { metadata: _, image, mask, ...input } }, { signal }) => {
    const [picture, hidden] = await Promise.all([toUploadFile(image), toUploadFile(mask)]);
    const body = { ...input, model, image: picture, mask: hidden };
    return edited(deps, body, signal);
  };

async function edited(deps: Connection, body: OpenAI.ImageEditParamsNonStreaming, signal: AbortSignal) {
  const answer = await deps.callForJson(signal, (client) => client.images.edit(body, { signal }));
  const usage = parseUsage(answer.usage);
  return { images: imagesOf(answer), ...(usage && { usage }) };
}

function imagesOf({ data }: OpenAI.ImagesResponse): Media[] {
  if (!data?.length) throw invalidOutput('it holds no images');
  return data.map(({ b64_json: base64 }) => {
    if (!base64) throw invalidOutput('its images do not come as b64_json');
    return toMedia(Buffer.from(base64, 'base64'), 'image/png');
  });
}

export const toUploadFile = ({ bytes, type }: Media) =>
  toFile(new Uint8Array(bytes), `input.${type.split('/')[1]?.split(/[+;]/)[0] ?? 'bin'}`, { type });
