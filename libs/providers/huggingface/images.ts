/** Pictures and films: through a provider's queue where it has one, else in one call. */
import type { InputOf, Media } from '#catalogue';
import { unsupportedRequest } from '../failures.ts';
import { toMedia } from '../response-media.ts';
import type { Handler, Run } from '../provider.ts';
import type { Connection } from './connection.ts';
import { findQueue, runInQueue } from './provider-queues.ts';
import { parseTarget, type Target } from './target.ts';

export type InferenceEndpoints = ReadonlyMap<string, string>;

export const toBlob = ({ bytes, type }: Media): Blob => new Blob([new Uint8Array(bytes)], { type });

export async function blobToMedia(blob: Blob, usual: string): Promise<Media> {
  return toMedia(new Uint8Array(await blob.arrayBuffer()), blob.type || usual);
}

const dataUri = ({ bytes, type }: Media) => `data:${type};base64,${Buffer.from(bytes).toString('base64')}`;

const sizeOf = (size?: string) => {
  const [, width, height] = /^(\d+)x(\d+)$/.exec(size ?? '') ?? [];
  return width ? { width: Number(width), height: Number(height) } : {};
};

export const textToImage =
  (deps: Connection, endpoints: InferenceEndpoints): Handler<'text-to-image'> =>
  async ({ model, input }, run) => {
    const target = parseTarget(model, endpoints);
    const { prompt, n: _, size, metadata: __, ...more } = input;
    const parameters = { ...sizeOf(size), ...more };
    const queue = target.endpointUrl ? null : await findQueue(deps, target, run);
    if (queue) return { images: [await runInQueue(deps, target, queue, { prompt, ...parameters }, run)] };
    const blob = await deps.call(target, run.signal, (client, { to, options }) =>
      client.textToImage({ ...to, inputs: prompt, parameters }, { ...options, outputType: 'blob' }),
    );
    return { images: [await blobToMedia(blob, 'image/png')] };
  };

export const imageToImage =
  (deps: Connection, endpoints: InferenceEndpoints): Handler<'image-to-image'> =>
  async ({ model, input }, run) => {
    const target = parseTarget(model, endpoints);
    const { image, n: _, size, metadata: __, ...more } = input;
    const [first, ...others] = [image].flat();
    if (others.length > 0) throw unsupportedRequest('Models of Hugging Face take one image.', 'image');
    const parameters = {
      ...more,
      ...(size && { target_size: sizeOf(size) as { width: number; height: number } }),
    };
    const blob = await deps.call(target, run.signal, (client, { to, options }) =>
      client.imageToImage({ ...to, inputs: toBlob(first!), parameters }, options),
    );
    return { images: [await blobToMedia(blob, 'image/png')] };
  };

export const textToVideo =
  (deps: Connection, endpoints: InferenceEndpoints): Handler<'text-to-video'> =>
  async ({ model, input }, run) => ({
    video: await filmed(deps, parseTarget(model, endpoints), input, run),
  });

export const imageToVideo =
  (deps: Connection, endpoints: InferenceEndpoints): Handler<'image-to-video'> =>
  async ({ model, input: { image, ...input } }, run) => ({
    video: await filmed(deps, parseTarget(model, endpoints), { ...input, image_url: dataUri(image) }, run),
  });

type FilmInput = Omit<InputOf<'image-to-video'>, 'image'> & { image_url?: string };

async function filmed(deps: Connection, target: Target, input: FilmInput, run: Run): Promise<Media> {
  const { metadata: _, size, seconds, ...more } = input;
  const queue = target.endpointUrl ? null : await findQueue(deps, target, run);
  if (queue)
    return runInQueue(
      deps,
      target,
      queue,
      { ...more, ...sizeOf(size), ...(seconds && { duration: seconds }) },
      run,
    );
  const { prompt = '', image_url: image, negative_prompt: unwanted, ...rest } = more;
  if (image)
    throw unsupportedRequest(
      'Only providers with a queue make films of pictures: fal-ai, replicate.',
      'model',
    );
  const parameters = { ...rest, ...(unwanted && { negative_prompt: [unwanted] }) };
  const blob = await deps.call(target, run.signal, (client, { to, options }) =>
    client.textToVideo({ ...to, inputs: prompt, parameters }, options),
  );
  return blobToMedia(blob, 'video/mp4');
}
