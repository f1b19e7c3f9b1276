/**
 * `/v1/videos`: begun once, its id remembered before the first look, then looked at until it is done. A worker that
 * comes after a crash goes on with the id; a cancel deletes it upstream.
 */
import type OpenAI from 'openai';
import type { InputOf, Media, Usage } from '#catalogue';
import { ProviderFailure } from '#domain';
import type { Call, Handler, Run } from '../provider.ts';
import { usageOf } from '../gather.ts';
import { mediaFrom } from '../media.ts';
import { following } from '../poll.ts';
import type { Connection } from './connection.ts';
import { fileOf } from './pictures.ts';

type Film = 'text-to-video' | 'image-to-video';

export const textToVideo =
  (on: Connection): Handler<'text-to-video'> =>
  (call, run) =>
    filmed(on, call, run);

export const imageToVideo =
  (on: Connection): Handler<'image-to-video'> =>
  (call, run) =>
    filmed(on, call, run, call.input.image);

async function filmed(on: Connection, call: Call<Film>, run: Run, image?: Media) {
  const { signal } = run;
  let usage: Usage | undefined;
  const id = await following(run, {
    async begin() {
      const begun = await create(on, call, signal, image);
      // It is paid for as it is begun: an attempt that goes on with it is not told again.
      usage = usageOf(begun.usage);
      return begun.id;
    },
    look: async (begun) => {
      const { status, progress, error } = await on.call(signal, (client) =>
        client.videos.retrieve(begun, { signal }),
      );
      if (status === 'failed') throw failed(error);
      // 0 % says no more than that it waits or has begun.
      run.progress({ stage: status, ...(status !== 'queued' && progress > 0 && { percent: progress }) });
      return status === 'completed';
    },
    cancel: (begun) => endFilm(on, begun),
  });
  const content = (variant: 'video' | 'thumbnail') =>
    on.call(signal, async (client) =>
      mediaFrom(await client.videos.downloadContent(id, { variant }, { signal }), 'video/mp4'),
    );
  const video = await content('video');
  const thumbnail = await content('thumbnail').catch(() => undefined);
  return { video, thumbnail, ...(usage && { usage }) };
}

/** How long the upstream has to take note of a cancel. */
const cancelMs = 10_000;

/** A film that is still rendered ends with its deletion. */
export async function endFilm(on: Connection, id: string): Promise<void> {
  const signal = AbortSignal.timeout(cancelMs);
  await on.call(signal, (client) => client.videos.delete(id, { signal }));
}

async function create(on: Connection, { model, input }: Call<Film>, signal: AbortSignal, image?: Media) {
  const { image: _, metadata: __, seconds, ...more } = input as InputOf<'image-to-video'>;
  const body = {
    ...more,
    model,
    ...(seconds !== undefined && { seconds: String(seconds) }),
    ...(image && { input_reference: await fileOf(image) }),
  };
  return on.ask(signal, (client) =>
    client.videos.create(body as unknown as OpenAI.VideoCreateParams, { signal }),
  );
}

const failed = (error: { code: string; message: string } | null) =>
  new ProviderFailure(`The video could not be made: ${error?.message ?? 'the provider does not say why'}`, {
    code: error?.code ?? 'provider_error',
    status: 422,
    retryable: false,
  });
