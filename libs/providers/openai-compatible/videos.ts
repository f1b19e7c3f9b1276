/**
 * `/v1/videos`: begun once, its id remembered before the first look, then looked at until it is done. A worker that
 * comes after a crash goes on with the id; a cancel deletes it upstream.
 */
import type OpenAI from 'openai';
import type { InputOf, Media, Usage } from '#catalogue';
import { ProviderFailure } from '#domain';
import type { Call, Handler, Run } from '../provider.ts';
import { parseUsage } from '../collect-stream.ts';
import { readMedia } from '../response-media.ts';
import { pollUntilDone } from '../poll-until-done.ts';
import type { Connection } from './connection.ts';
import { toUploadFile } from './images.ts';

type Film = 'text-to-video' | 'image-to-video';

export const textToVideo =
  (deps: Connection): Handler<'text-to-video'> =>
  (call, run) =>
    filmed(deps, call, run);

export const imageToVideo =
  (deps: Connection): Handler<'image-to-video'> =>
  (call, run) =>
    filmed(deps, call, run, call.input.image);

async function filmed(deps: Connection, call: Call<Film>, run: Run, image?: Media) {
  const { signal } = run;
  let usage: Usage | undefined;
  const id = await pollUntilDone(run, {
    async start() {
      const begun = await create(deps, call, signal, image);
      // It is paid for as it is begun: an attempt that goes on with it is not told again.
      usage = parseUsage(begun.usage);
      return begun.id;
    },
    poll: async (begun) => {
      const { status, progress, error } = await deps.call(signal, (client) =>
        client.videos.retrieve(begun, { signal }),
      );
      if (status === 'failed') throw failed(error);
      // 0 % says no more than that it waits or has begun.
      run.reportProgress({
        stage: status,
        ...(status !== 'queued' && progress > 0 && { percent: progress }),
      });
      return status === 'completed';
    },
    cancel: (begun) => cancelVideo(deps, begun),
  });
  const content = (variant: 'video' | 'thumbnail') =>
    deps.call(signal, async (client) =>
      readMedia(await client.videos.downloadContent(id, { variant }, { signal }), 'video/mp4'),
    );
  const video = await content('video');
  const thumbnail = await content('thumbnail').catch(() => undefined);
  return { video, thumbnail, ...(usage && { usage }) };
}

/** How long the upstream has to take note of a cancel. */
const cancelMs = 10_000;

/** A film that is still rendered ends with its deletion. */
export async function cancelVideo(deps: Connection, id: string): Promise<void> {
  const signal = AbortSignal.timeout(cancelMs);
  await deps.call(signal, (client) => client.videos.delete(id, { signal }));
}

async function create(deps: Connection, { model, input }: Call<Film>, signal: AbortSignal, image?: Media) {
  const { image: _, metadata: __, seconds, ...more } = input as InputOf<'image-to-video'>;
  const body = {
    ...more,
    model,
    ...(seconds !== undefined && { seconds: String(seconds) }),
    ...(image && { input_reference: await toUploadFile(image) }),
  };
  return deps.callForJson(signal, (client) =>
    client.videos.create(body as unknown as OpenAI.VideoCreateParams, { signal }),
  );
}

const failed = (error: { code: string; message: string } | null) =>
  new ProviderFailure(`The video could not be made: ${error?.message ?? 'the provider does not say why'}`, {
    code: error?.code ?? 'provider_error',
    status: 422,
    retryable: false,
  });
