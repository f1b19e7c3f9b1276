/** A worker is stopped (SIGSTOP) while it runs chunks and continued when others have taken them over: it comes too late. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Check, Fault, FaultOptions, FaultResult } from '../fault.ts';
import { speed } from '../figures.ts';
import { LateCommits } from '../late-commit.ts';
import { followUp, longestMs, lossTable, oneChunkPerSlot, resumedInTime, type Loss } from '../losses.ts';
import { pacedInput } from '../pace.ts';
import { Scene } from '../scene.ts';
import { strike } from '../strike.ts';
import { takeFenceOut } from '../unfenced.ts';

const workers = 3;
const slots = 2;

export const workerFreeze: Fault = {
  name: 'worker-freeze',
  title: 'a worker that holds a chunk is stopped, then continued',
  backends: ['embedded', 'redis'],
  canLoseFence: true,
  run(options) {
    const workerNodeArgs = options.withoutFence ? takeFenceOut : [];
    const settings = { workers, workerNodeArgs, env: { WORKER_SLOTS: String(slots) } };
    return Scene.play(options, settings, (scene) => act(scene, options));
  },
};

async function act(scene: Scene, options: FaultOptions): Promise<FaultResult> {
  const { short, say } = options;
  const frozenMs = short ? 13_000 : 30_000;
  // A chunk is one call: a worker that thaws has its answer at once, and wants to commit it.
  const lines = options.lines ?? 5_000;
  const batch = await scene.submit(pacedInput(lines, short ? 4 : 9));
  say(`${lines} lines as ${batch.id} on ${workers} workers of ${slots} slots`);
  await scene.running();
  await scene.look();
  await sleep(options.random.between(200, 1_500));
  const { worker, losses } = await strike(scene, 1, 'stopped', ({ child }) => void child.kill('SIGSTOP'));
  await sleep(frozenMs);
  await followUp(losses, scene);
  const thawedAt = Date.now();
  worker.child.kill('SIGCONT');
  say(`continued it after ${frozenMs / 1_000} s`);

  const late = await LateCommits.open(scene);
  const meanwhile = async () => {
    await followUp(losses, scene);
    await late.send(losses);
  };
  try {
    await scene.ended(180_000, meanwhile);
    const checks = [
      ...(await scene.verdict()),
      resumedInTime(losses),
      oneChunkPerSlot(losses, 1, slots),
      late.toCheck(),
      await worksAgain(scene, losses, thawedAt),
    ];
    const own = worker.output().match(/another attempt has claimed this chunk|job interrupted/g)?.length ?? 0;
    const lost = {
      chunksLost: losses.length,
      slowestResumeMs: longestMs(losses),
      lateResultsDroppedByTheWorker: own,
    };
    const figures = { lines, frozenMs, ...lost, ...(await speed(scene)) };
    return { checks, tables: [lossTable(losses)], figures };
  } finally {
    await late.close();
  }
}

async function worksAgain({ truth }: Scene, losses: readonly Loss[], thawedAt: number): Promise<Check> {
  const { chunks, first } = await truth.one<{ chunks: number; first: Date | null }>(
    'select count(*) as chunks, min(started_at) as first from attempts where worker_id = $1 and started_at > $2',
    [losses[0]!.workerId, new Date(thawedAt)],
  );
  return {
    name: 'the worker takes work again once it is continued',
    holds: chunks > 0,
    found: first
      ? `${chunks} chunks, the first after ${((first.getTime() - thawedAt) / 1_000).toFixed(1)} s`
      : 'none',
  };
}
