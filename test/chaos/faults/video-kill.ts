/**
 * Workers are killed while the upstream renders a film: whoever takes it up goes on with the run that was begun, and
 * what its caller is shown never goes back. A cancel reaches the upstream while it still renders.
 */
import { mp4 } from '../../support/upstream/model-outputs.ts';
import { ScriptedUpstream } from '../../support/upstream/server.ts';
import type { Check, Fault, FaultOptions, FaultResult } from '../fault.ts';
import { VideoTask, videoProviders, findDecreases, type VideoProvider } from '../video-task.ts';
import { resumeWithinMs } from '../interrupted-chunks.ts';
import { Deployment } from '../deployment.ts';

const tokens = { openai: 'sk-chaoschaoschaoschaos', huggingFace: 'hf_chaoschaoschaoschaos' };
/** How soon a film is taken up again, and a cancel told upstream: by its worker, or by another in a dead one's place. */
const limits = { waitUntilResumed: resumeWithinMs, byItsWorker: 2_000, inItsPlace: resumeWithinMs };
/** Looks until a film is done: they come a quarter of a second after a worker took it up, then ever more rarely. */
const looksOf = (kills: number) => 6 + 6 * kills;

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
  readonly way: VideoProvider;
  /** Its worker had been killed. */
  readonly isOrphan: boolean;
  readonly toldMs: number | null;
}

const slowestTold = (cancels: readonly Cancelled[], isOrphan: boolean) =>
  Math.max(...cancels.filter((one) => one.isOrphan === isOrphan).map(({ toldMs }) => toldMs ?? Infinity));

const toldCheck = (
  name: string,
  cancels: readonly Cancelled[],
  isOrphan: boolean,
  withinMs: number,
): Check => ({
  name: `${name} within ${withinMs / 1_000} s`,
  holds: slowestTold(cancels, isOrphan) <= withinMs,
  found: cancels
    .filter((one) => one.isOrphan === isOrphan)
    .map(({ way, toldMs }) => `${way.name}: ${toldMs === null ? 'never' : `${toldMs} ms`}`)
    .join(', '),
});

interface Made {
  readonly film: VideoTask;
  readonly begun: number;
  readonly resumedMs: readonly number[];
  readonly isWhole: boolean;
  readonly backwards: readonly string[];
}

async function runFault(
  deployment: Deployment,
  upstream: ScriptedUpstream,
  options: FaultOptions,
): Promise<FaultResult> {
  const kills = options.short ? 1 : 3;
  const films: Made[] = [];
  const cancels: Cancelled[] = [];
  upstream.videos.pollsUntilDone = upstream.predictions.pollsUntilDone = looksOf(kills);
  for (const way of videoProviders) {
    // The second has the first one's time to be estimated by.
    for (let film = 0; film < (options.short ? 1 : 2); film++)
      films.push(await makeVideo(deployment, upstream, way, kills));
    for (const isOrphan of [false, true])
      cancels.push({ way, isOrphan, toldMs: await cancelVideo(deployment, upstream, way, isOrphan) });
  }
  const resumes = films.flatMap(({ resumedMs }) => resumedMs);
  const slowest = Math.max(...resumes);
  const shown = films.reduce((sum, { film }) => sum + film.shown.length, 0);
  const checks: Check[] = [
    {
      name: 'one run was begun upstream for each film, whoever was killed',
      holds: films.every(({ begun }) => begun === 1),
      found: films.map(({ film, begun }) => `${film.way.name}: ${begun}`).join(', '),
    },
    {
      name: 'each film is done, and is the one that the upstream made',
      holds: films.every(({ film, isWhole }) => film.end === 'succeeded' && isWhole),
      found: films.map(({ film }) => film.end).join(', '),
    },
    {
      name: 'progress never goes back, and what waits shows none',
      holds: films.every(({ backwards }) => backwards.length === 0) && shown > 0,
      found: films.flatMap(({ backwards }) => backwards).join(', ') || `seen ${shown} times`,
    },
    {
      name: `every film is taken up again within ${limits.waitUntilResumed / 1_000} s`,
      holds: slowest <= limits.waitUntilResumed,
      found: resumes.map((ms) => `${ms} ms`).join(', '),
    },
    toldCheck('a cancel reaches the upstream', cancels, false, limits.byItsWorker),
    toldCheck('a cancel of a film whose worker is dead reaches it', cancels, true, limits.inItsPlace),
    ...(await deployment.runChecker({ secrets: Object.values(tokens) })),
  ];
  const figures = {
    films: films.length,
    kills: resumes.length,
    slowestResumeMs: slowest,
    slowestCancelMs: slowestTold(cancels, false),
    slowestCancelWithoutWorkerMs: slowestTold(cancels, true),
  };
  return { checks, tables: [], figures };
}

async function makeVideo(
  deployment: Deployment,
  upstream: ScriptedUpstream,
  way: VideoProvider,
  kills: number,
): Promise<Made> {
  const { platform, database, options } = deployment;
  const film = await VideoTask.begin(way, { platform, database, upstream });
  const resumedMs: number[] = [];
  for (let round = 1; round <= kills; round++) {
    const seen = round === 1 ? 0 : upstream.findCalls(way.queueSnapshots, 'GET').length;
    await film.rendering(seen + options.random.between(2, 4));
    await deployment.snapshotQueue();
    const killed = await film.killWorker();
    const after = await film.resumedAfter(killed);
    resumedMs.push(after);
    options.print(`${way.name}: killed the worker of ${film.id}; taken up again after ${after} ms`);
  }
  await film.ended();
  const isWhole = film.end === 'succeeded' && (await film.content()).equals(mp4);
  options.print(`${way.name}: ${film.end}, begun ${film.begun} × upstream`);
  return { film, begun: film.begun, resumedMs, isWhole, backwards: findDecreases(film.shown) };
}

async function cancelVideo(
  { platform, database, options }: Deployment,
  upstream: ScriptedUpstream,
  way: VideoProvider,
  isOrphan: boolean,
): Promise<number | null> {
  const film = await VideoTask.begin(way, { platform, database, upstream });
  await film.rendering(2);
  if (isOrphan) await film.killWorker();
  const toldMs = await film.cancel(90_000);
  const after = toldMs === null ? 'never told' : `told after ${toldMs} ms`;
  options.print(
    `${way.name}: cancelled ${film.id}${isOrphan ? ' of a dead worker' : ''}; the upstream was ${after}`,
  );
  return toldMs;
}
