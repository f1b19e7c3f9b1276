/**
 * `/v1/videos`: started once, its id stored before the first poll, then polled until it is done. After a crash the next
 * attempt resumes by the stored id. A cancel deletes the video upstream.
 */
import type OpenAI from 'openai';
import type { InputOf, Media, Usage } from '#catalogue';
import { ProviderFailure } from '#domain';
import { pollUntilDone } from '../poll-until-done.ts';
import { readMedia } from '../response-media.ts';
import type { Call, Handler, ModelAccess, Run } from '../run.ts';
import { parseUsage } from '../usage.ts';
import type { Connection } from './connection.ts';
import { toUploadFile } from './upload-file.ts';

type VideoKind = 'text-to-video' | 'image-to-video';

export const textToVideo =
  (connection: Connection): Handler<'text-to-video'> =>
  (call, run) =>
    generateVideo(connection, call, run);

export const imageToVideo =
  (connection: Connection): Handler<'image-to-video'> =>
  (call, run) =>
    generateVideo(connection, call, run, call.input.image);

async function generateVideo(connection: Connection, call: Call<VideoKind>, run: Run, image?: Media) {
  const { credential } = call;
  const { signal } = run;
  let usage: Usage | undefined;
  const id = await pollUntilDone(run, {
    async start() {
      const started = await createVideo(connection, call, signal, image);
      // Billed when it is started: an attempt that resumes it reports no usage.
      usage = parseUsage(started.usage);
      return started.id;
    },
    async poll(videoId) {
      const { status, progress, error } = await connection.call(credential, signal, (client) =>
        client.videos.retrieve(videoId, { signal }),
      );
      if (status === 'failed') throw buildFailure(error);
      // 0 % adds nothing to the stage: the video is queued or has just started.
      run.reportProgress({
        stage: status,
        ...(status !== 'queued' && progress > 0 && { percent: progress }),
      });
      return status === 'completed';
    },
    cancel: (videoId) => cancelVideo(connection, call, videoId),
  });
  const download = (variant: 'video' | 'thumbnail') =>
    connection.call(credential, signal, async (client) =>
      readMedia(await client.videos.downloadContent(id, { variant }, { signal }), 'video/mp4'),
    );
  const video = await download('video');
  const thumbnail = await download('thumbnail').catch(() => undefined);
  return { video, thumbnail, ...(usage && { usage }) };
}

/** The upstream's time limit for accepting a cancel. */
const cancelTimeoutMs = 10_000;

/** Deleting a video that is still being generated stops it. */
export async function cancelVideo(
  connection: Connection,
  { credential }: Pick<ModelAccess, 'credential'>,
  id: string,
): Promise<void> {
  const signal = AbortSignal.timeout(cancelTimeoutMs);
  await connection.call(credential, signal, (client) => client.videos.delete(id, { signal }));
}

async function createVideo(
  connection: Connection,
  { model, credential, input }: Call<VideoKind>,
  signal: AbortSignal,
  image?: Media,
) {
  const { image: _, metadata: __, seconds, ...more } = input as InputOf<'image-to-video'>;
  const body = {
    ...more,
    model,
    ...(seconds !== undefined && { seconds: String(seconds) }),
    ...(image && { input_reference: await toUploadFile(image) }),
  };
  return connection.callForJson(credential, signal, (client) =>
    client.videos.create(body as unknown as OpenAI.VideoCreateParams, { signal }),
  );
}

const buildFailure = (error: { code: string; message: string } | null) =>
  new ProviderFailure(
    `The video could not be generated: ${error?.message ?? 'the provider gives no reason'}`,
    {
      code: error?.code ?? 'provider_error',
      status: 422,
      retryable: false,
    },
  );
