/** Workers are killed with -9, each while it holds a chunk: nothing is lost, nothing doubled, work resumes by itself. */
import { setTimeout as sleep } from 'node:timers/promises';
import { waitUntil } from '../../support/platform.ts';
import type { Fault, FaultOptions, FaultResult } from '../fault.ts';
import { speed } from '../figures.ts';
import { isAlive } from '../keeper.ts';
import { LateCommits } from '../late-commit.ts';
import { followUp, longestMs, lossTable, oneChunkPerSlot, resumedInTime, type Loss } from '../losses.ts';
import { pacedInput } from '../pace.ts';
import { Scene } from '../scene.ts';
import { strike } from '../strike.ts';
import { takeFenceOut } from '../unfenced.ts';

const workers = 3;
const slots = 2;

export const workerKill: Fault = {
  name: 'worker-kill',
  title: 'kill -9 at random workers that hold a running chunk',
  backends: ['embedded', 'redis'],
  canLoseFence: true,
  run(options) {
    const workerNodeArgs = options.withoutFence ? takeFenceOut : [];
    const settings = { workers, workerNodeArgs, env: { WORKER_SLOTS: String(slots) } };
    return Scene.play(options, settings, (scene) => act(scene, options));
  },
};

async function act(scene: Scene, options: FaultOptions): Promise<FaultResult> {
  const { short, say, random } = options;
  const lines = options.lines ?? (short ? 10_000 : 50_000);
  const kills = short ? 2 : 5;
  const batch = await scene.submit(pacedInput(lines, short ? 3 : 8));
  say(`${lines} lines as ${batch.id} on ${workers} workers of ${slots} slots`);
  await scene.running();
  await scene.look();
  const late = await LateCommits.open(scene);
  const losses: Loss[] = [];
  const meanwhile = async () => {
    await followUp(losses, scene);
    await late.send(losses);
  };
  try {
    for (let stroke = 1; stroke <= kills; stroke++) {
      await sleep(random.between(500, short ? 1_500 : 4_000));
      const struck = await strike(scene, stroke, 'killed', async (worker) => {
        worker.child.kill('SIGKILL');
        await waitUntil(() => !isAlive(worker), { what: 'a killed worker to be dead', everyMs: 5 });
      });
      losses.push(...struck.losses);
      await meanwhile();
    }
    await scene.ended(240_000, meanwhile);
    const checks = [
      ...(await scene.verdict()),
      resumedInTime(losses),
      oneChunkPerSlot(losses, kills, slots),
      late.toCheck(),
    ];
    const lost = { chunksLost: losses.length, slowestResumeMs: longestMs(losses) };
    return {
      checks,
      tables: [lossTable(losses)],
      figures: { lines, kills, ...lost, ...(await speed(scene)) },
    };
  } finally {
    await late.close();
  }
}
