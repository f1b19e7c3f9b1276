/** Image generation: through the queue of the inference provider if it has one, otherwise in one call. */
import { unsupportedRequest } from '../failures.ts';
import type { Handler } from '../run.ts';
import { blobToMedia, toBlob } from './blobs.ts';
import type { Connection } from './connection.ts';
import { parseImageSize } from './image-size.ts';
import { findQueue, runInQueue } from './provider-queues.ts';

export const textToImage =
  (connection: Connection): Handler<'text-to-image'> =>
  async ({ input, ...access }, run) => {
    const { prompt, n: _, size, metadata: __, ...more } = input;
    const parameters = { ...parseImageSize(size), ...more };
    const queue = await findQueue(connection, access, run);
    if (queue)
      return { images: [await runInQueue(connection, access, queue, { prompt, ...parameters }, run)] };
    const blob = await connection.call(access, run.signal, (client, { to, options }) =>
      client.textToImage({ ...to, inputs: prompt, parameters }, { ...options, outputType: 'blob' }),
    );
    return { images: [await blobToMedia(blob, 'image/png')] };
  };

export const imageToImage =
  (connection: Connection): Handler<'image-to-image'> =>
  async ({ input, ...access }, run) => {
    const { image, n: _, size, metadata: __, ...more } = input;
    const [first, ...others] = [image].flat();
    if (others.length > 0) throw unsupportedRequest('Models of Hugging Face accept one image.', 'image');
    const parameters = {
      ...more,
      ...(size && { target_size: parseImageSize(size) as { width: number; height: number } }),
    };
    const blob = await connection.call(access, run.signal, (client, { to, options }) =>
      client.imageToImage({ ...to, inputs: toBlob(first!), parameters }, options),
    );
    return { images: [await blobToMedia(blob, 'image/png')] };
  };
