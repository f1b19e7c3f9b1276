/** `/v1/images/generations` and `/v1/images/edits`. Only images that the server returns as base64 are read. */
import type OpenAI from 'openai';
import type { Media } from '#catalogue';
import type { ProviderCredential } from '../credential.ts';
import { invalidOutput } from '../failures.ts';
import { toMedia } from '../response-media.ts';
import type { Handler } from '../run.ts';
import { parseUsage } from '../usage.ts';
import type { Connection } from './connection.ts';
import { toUploadFile } from './upload-file.ts';

export const textToImage =
  (connection: Connection): Handler<'text-to-image'> =>
  async (
    { model, credential, input: { metadata: _, width, height, size = formatSize(width, height), ...input } },
    { signal },
  ) => {
    const body = { ...input, size, model } as unknown as OpenAI.ImageGenerateParamsNonStreaming;
    const answer = await connection.callForJson(credential, signal, (client) =>
      client.images.generate(body, { signal }),
    );
    const usage = parseUsage(answer.usage);
    return {
      images: await readImages(answer),
      revised_prompt: answer.data?.[0]?.revised_prompt,
      ...(usage && { usage }),
    };
  };

const formatSize = (width?: number, height?: number) => (width && height ? `${width}x${height}` : undefined);

export const imageToImage =
  (connection: Connection): Handler<'image-to-image'> =>
  async ({ model, credential, input: { metadata: _, image, prompt = '', ...input } }, { signal }) => {
    const images = await Promise.all([image].flat().map(toUploadFile));
    const body = { ...input, prompt, model, image: images.length === 1 ? images[0]! : images };
    return editImage(connection, body, credential, signal);
  };

export const inpainting =
  (connection: Connection): Handler<'inpainting'> =>
  async ({ model, credential, input: { metadata: _, image, mask, ...input } }, { signal }) => {
    const [imageFile, maskFile] = await Promise.all([toUploadFile(image), toUploadFile(mask)]);
    const body = { ...input, model, image: imageFile, mask: maskFile };
    return editImage(connection, body, credential, signal);
  };

async function editImage(
  connection: Connection,
  body: OpenAI.ImageEditParamsNonStreaming,
  credential: ProviderCredential,
  signal: AbortSignal,
) {
  const answer = await connection.callForJson(credential, signal, (client) =>
    client.images.edit(body, { signal }),
  );
  const usage = parseUsage(answer.usage);
  return { images: await readImages(answer), ...(usage && { usage }) };
}

async function readImages({ data }: OpenAI.ImagesResponse): Promise<Media[]> {
  if (!data?.length) throw invalidOutput('it has no images');
  return Promise.all(
    data.map(async ({ b64_json: base64 }) => {
      if (!base64) throw invalidOutput('its images are not in b64_json');
      return toMedia(Buffer.from(base64, 'base64'), 'image/png');
    }),
  );
}
