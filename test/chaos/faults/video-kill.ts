/**
 * Kills workers while the upstream renders a video: the next attempt continues the upstream run, and the progress that the
 * caller reads never decreases. A cancellation reaches the upstream while it still renders.
 */
import { mp4 } from '../../support/upstream/model-outputs.ts';
import { ScriptedUpstream } from '../../support/upstream/server.ts';
import type { Check, Fault, FaultOptions, FaultResult } from '../fault.ts';
import { VideoTask, videoProviders, findDecreases, type VideoProvider } from '../video-task.ts';
import { resumeWithinMs } from '../interrupted-chunks.ts';
import { Deployment } from '../deployment.ts';

const tokens = { openai: 'sk-chaoschaoschaoschaos', huggingFace: 'hf_chaoschaoschaoschaos' };
/** Bounds in ms: until a video is resumed, and until the upstream receives a cancellation, with a running and a killed worker. */
const limits = { resumed: resumeWithinMs, cancelled: 2_000, cancelledAfterKill: resumeWithinMs };
/** Status requests until a video is done. The first is 0.25 s after a worker claims it; the interval then grows. */
const countPolls = (kills: number) => 4 + 5 * kills;

export const videoKill: Fault = {
  name: 'video-kill',
  title: 'kill -9 the worker while the upstream renders a video; cancel one',
  backends: ['embedded', 'redis'],
  async run(options) {
    const upstream = await ScriptedUpstream.start();
    const env = {
      OPENAI_COMPATIBLE: `scripted=${upstream.url}/v1`,
      OPENAI_COMPATIBLE_KEYS: `scripted=${tokens.openai}`,
      HF_ENDPOINT: upstream.url,
      HF_ROUTER: upstream.url,
      HF_TOKEN: tokens.huggingFace,
    };
    try {
      return await Deployment.use(options, { workers: 2, env }, (deployment) =>
        runFault(deployment, upstream, options),
      );
    } finally {
      await upstream.close();
    }
  },
};

interface Cancelled {
  readonly provider: VideoProvider;
  /** Its worker was killed before. */
  readonly workerKilled: boolean;
  /** Until the upstream received the cancellation; null if it did not. */
  readonly receivedMs: number | null;
}

const getSlowest = (cancels: readonly Cancelled[], workerKilled: boolean) =>
  Math.max(
    ...cancels
      .filter((one) => one.workerKilled === workerKilled)
      .map(({ receivedMs }) => receivedMs ?? Infinity),
  );

const checkCancels = (
  name: string,
  cancels: readonly Cancelled[],
  workerKilled: boolean,
  withinMs: number,
): Check => ({
  name: `${name} within ${withinMs / 1_000} s`,
  holds: getSlowest(cancels, workerKilled) <= withinMs,
  found: cancels
    .filter((one) => one.workerKilled === workerKilled)
    .map(
      ({ provider, receivedMs }) => `${provider.name}: ${receivedMs === null ? 'never' : `${receivedMs} ms`}`,
    )
    .join(', '),
});

interface FinishedVideo {
  readonly video: VideoTask;
  readonly upstreamRuns: number;
  readonly resumedMs: readonly number[];
  readonly isComplete: boolean;
  readonly decreases: readonly string[];
}

async function runFault(
  deployment: Deployment,
  upstream: ScriptedUpstream,
  options: FaultOptions,
): Promise<FaultResult> {
  const kills = options.short ? 1 : 3;
  const videos: FinishedVideo[] = [];
  const cancels: Cancelled[] = [];
  upstream.videos.pollsUntilDone = upstream.predictions.pollsUntilDone = countPolls(kills);
  for (const provider of videoProviders) {
    // The progress of the second video is estimated from the duration of the first.
    for (let made = 0; made < (options.short ? 1 : 2); made++)
      videos.push(await makeVideo(deployment, upstream, provider, kills));
    for (const workerKilled of [false, true])
      cancels.push({
        provider,
        workerKilled,
        receivedMs: await cancelVideo(deployment, upstream, provider, workerKilled),
      });
  }
  const resumes = videos.flatMap(({ resumedMs }) => resumedMs);
  const slowest = Math.max(...resumes);
  const shown = videos.reduce((sum, { video }) => sum + video.shown.length, 0);
  const checks: Check[] = [
    {
      name: 'one upstream run was started for each video',
      holds: videos.every(({ upstreamRuns }) => upstreamRuns === 1),
      found: videos.map(({ video, upstreamRuns }) => `${video.provider.name}: ${upstreamRuns}`).join(', '),
    },
    {
      name: 'each video succeeded and has the bytes that the upstream made',
      holds: videos.every(({ video, isComplete }) => video.lastStatus === 'succeeded' && isComplete),
      found: videos.map(({ video }) => video.lastStatus).join(', '),
    },
    {
      name: 'progress never decreases, and a queued video has none',
      holds: videos.every(({ decreases }) => decreases.length === 0) && shown > 0,
      found: videos.flatMap(({ decreases }) => decreases).join(', ') || `read ${shown} times`,
    },
    {
      name: `every video is resumed within ${limits.resumed / 1_000} s`,
      holds: slowest <= limits.resumed,
      found: resumes.map((ms) => `${ms} ms`).join(', '),
    },
    checkCancels('a cancellation reaches the upstream', cancels, false, limits.cancelled),
    checkCancels(
      'a cancellation after its worker was killed reaches the upstream',
      cancels,
      true,
      limits.cancelledAfterKill,
    ),
    ...(await deployment.runChecker({ secrets: Object.values(tokens) })),
  ];
  const figures = {
    videos: videos.length,
    kills: resumes.length,
    slowestResumeMs: slowest,
    slowestCancelMs: getSlowest(cancels, false),
    slowestCancelWithoutWorkerMs: getSlowest(cancels, true),
  };
  return { checks, tables: [], figures };
}

async function makeVideo(
  deployment: Deployment,
  upstream: ScriptedUpstream,
  provider: VideoProvider,
  kills: number,
): Promise<FinishedVideo> {
  const { platform, database, options } = deployment;
  const video = await VideoTask.create(provider, { platform, database, upstream });
  const resumedMs: number[] = [];
  for (let round = 1; round <= kills; round++) {
    const polls = round === 1 ? 0 : upstream.findCalls(provider.pollPath, 'GET').length;
    await video.waitUntilPolled(polls + options.random.between(2, 4));
    await deployment.snapshotQueue();
    const after = await video.measureResume(await video.killWorker());
    resumedMs.push(after);
    options.print(`${provider.name}: killed the worker of ${video.id}; resumed after ${after} ms`);
  }
  await video.waitUntilEnded();
  const isComplete = video.lastStatus === 'succeeded' && (await video.content()).equals(mp4);
  const { upstreamRuns } = video;
  options.print(`${provider.name}: ${video.lastStatus}, ${upstreamRuns} upstream runs`);
  return { video, upstreamRuns, resumedMs, isComplete, decreases: findDecreases(video.shown) };
}

async function cancelVideo(
  { platform, database, options }: Deployment,
  upstream: ScriptedUpstream,
  provider: VideoProvider,
  workerKilled: boolean,
): Promise<number | null> {
  const video = await VideoTask.create(provider, { platform, database, upstream });
  await video.waitUntilPolled(2);
  if (workerKilled) await video.killWorker();
  const receivedMs = await video.cancel(90_000);
  const when = receivedMs === null ? 'never' : `after ${receivedMs} ms`;
  options.print(
    `${provider.name}: cancelled ${video.id}${workerKilled ? ' after its worker was killed' : ''}; received upstream ${when}`,
  );
  return receivedMs;
}
