/** Video generation: through the queue of the inference provider if it has one, otherwise in one call. */
import type { InputOf, Media } from '#catalogue';
import { unsupportedRequest } from '../failures.ts';
import type { Handler, ModelAccess, Run } from '../run.ts';
import { blobToMedia } from './blobs.ts';
import type { Connection } from './connection.ts';
import { parseImageSize } from './image-size.ts';
import { findQueue, runInQueue } from './provider-queues.ts';

export const textToVideo =
  (connection: Connection): Handler<'text-to-video'> =>
  async ({ input, ...access }, run) => ({
    video: await generateVideo(connection, access, input, run),
  });

export const imageToVideo =
  (connection: Connection): Handler<'image-to-video'> =>
  async ({ input: { image, ...input }, ...access }, run) => ({
    video: await generateVideo(connection, access, { ...input, image_url: toDataUri(image) }, run),
  });

const toDataUri = ({ bytes, type }: Media) => `data:${type};base64,${Buffer.from(bytes).toString('base64')}`;

type VideoInput = Omit<InputOf<'image-to-video'>, 'image'> & { image_url?: string };

async function generateVideo(
  connection: Connection,
  access: ModelAccess,
  input: VideoInput,
  run: Run,
): Promise<Media> {
  const { metadata: _, size, seconds, ...more } = input;
  const queue = await findQueue(connection, access, run);
  if (queue) {
    const queueInput = { ...more, ...parseImageSize(size), ...(seconds && { duration: seconds }) };
    return runInQueue(connection, access, queue, queueInput, run);
  }
  const { prompt = '', image_url: image, negative_prompt: negativePrompt, ...rest } = more;
  if (image) {
    const message = 'Only inference providers with a queue generate videos from images: fal-ai, replicate.';
    throw unsupportedRequest(message, 'model');
  }
  const parameters = {
    ...rest,
    ...parseImageSize(size),
    ...(seconds && { duration: seconds }),
    ...(negativePrompt && { negative_prompt: [negativePrompt] }),
  };
  const blob = await connection.call(access, run.signal, (client, { to, options }) =>
    client.textToVideo({ ...to, inputs: prompt, parameters }, options),
  );
  return blobToMedia(blob, 'video/mp4');
}
