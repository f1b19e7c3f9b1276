/**
 * `/v1/videos`: started once, its id stored before the first poll, then polled until it is done. After a crash the next
 * attempt resumes by the stored id. A cancel deletes the video upstream.
 */
import type OpenAI from 'openai';
import type { InputOf, Media, Usage } from '#catalogue';
import { pollUntilDone } from '../poll-until-done.ts';
import { readMedia } from '../response-media.ts';
import type { Call, Handler, ModelAccess, Run } from '../run.ts';
import { readRunId, readRunState, type RunStates } from '../run-states.ts';
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
  const { signal } = run;
  let usage: Usage | undefined;
  const id = await pollUntilDone(run, {
    async start() {
      const started = await createVideo(connection, call, signal, image);
      // Billed when it is started: an attempt that resumes it reports no usage.
      usage = parseUsage(started.usage);
      return readRunId(started['id']);
    },
    async poll(videoId) {
      const video = await connection.callForJson(call, signal, (client) =>
        client.videos.retrieve(videoId, { signal }),
      );
      const status = typeof video['status'] === 'string' ? video['status'] : '';
      const { progress } = video;
      // 0 % adds nothing to the stage: the video is queued or has just started.
      const percent =
        typeof progress === 'number' && progress > 0 && !isQueued(status) ? progress : undefined;
      run.reportProgress({ stage: status, ...(percent !== undefined && { percent }) });
      return readRunState(status, videoStates, video['error']);
    },
    cancel: (videoId) => cancelVideo(connection, call, videoId),
  });
  const download = (variant: 'video' | 'thumbnail') =>
    connection.call(call, signal, async (client) =>
      readMedia(await client.videos.downloadContent(id, { variant }, { signal }), 'video/mp4'),
    );
  const video = await download('video');
  const thumbnail = await download('thumbnail').catch(() => undefined);
  return { video, thumbnail, ...(usage && { usage }) };
}

const isQueued = (status: string) => /^(queued|pending|waiting)$/i.test(status);

/** OpenAI's states, and the names that compatible servers use for them. */
const videoStates: RunStates = {
  running: ['queued', 'in_progress', 'pending', 'processing', 'running', 'waiting'],
  done: ['completed', 'succeeded', 'success', 'done'],
  failed: ['failed', 'error'],
};

/** The upstream's time limit for accepting a cancel. */
const cancelTimeoutMs = 10_000;

/** Deleting a video that is still being generated stops it. */
export async function cancelVideo(connection: Connection, access: ModelAccess, id: string): Promise<void> {
  const signal = AbortSignal.timeout(cancelTimeoutMs);
  await connection.call(access, signal, (client) => client.videos.delete(id, { signal }));
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
  return connection.callForJson({ model, credential }, signal, (client) =>
    client.videos.create(body as unknown as OpenAI.VideoCreateParams, { signal }),
  );
}
