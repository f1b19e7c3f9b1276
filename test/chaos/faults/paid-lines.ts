/** Workers are killed in the middle of chunks whose lines cost money: what was finished is not paid for again. */
import { setTimeout as sleep } from 'node:timers/promises';
import { waitUntil } from '../../support/platform.ts';
import { countCalls, readBill, type Bill } from '../bill.ts';
import type { Check, Fault, FaultOptions, FaultResult } from '../fault.ts';
import { speed } from '../figures.ts';
import { isAlive } from '../keeper.ts';
import { followUp, longestMs, lossTable, resumedInTime, type Loss } from '../losses.ts';
import { Scene } from '../scene.ts';
import { strike } from '../strike.ts';

const workers = 2;
const slots = 2;
const linesPerCall = 2;
/** Calls that a chunk has under way: the sandbox's. */
const callsAtOnce = 4;
/** Rounds of calls that a kill may cost: those in flight, and those that were being kept in that moment. */
const roundsLost = 3;

export const paidLines: Fault = {
  name: 'paid-lines',
  title: 'kill -9 workers in the middle of chunks whose lines cost money',
  backends: ['embedded', 'redis'],
  run: (options) =>
    Scene.play(
      options,
      { workers, workerNodeArgs: countCalls, env: { WORKER_SLOTS: String(slots) } },
      (scene) => act(scene, options),
    ),
};

async function act(scene: Scene, options: FaultOptions): Promise<FaultResult> {
  const { short, random } = options;
  const lines = options.lines ?? (short ? 1_000 : 4_000);
  const kills = short ? 2 : 6;
  await scene.submit({ lines, delayMs: 400, paid: { linesPerCall } });
  await scene.running();
  await scene.look();
  const losses: Loss[] = [];
  const meanwhile = () => followUp(losses, scene);
  for (let stroke = 1; stroke <= kills; stroke++) {
    await sleep(random.between(800, 2_000));
    const struck = await strike(scene, stroke, 'killed', async (worker) => {
      worker.child.kill('SIGKILL');
      await waitUntil(() => !isAlive(worker), { what: 'a killed worker to be dead', everyMs: 5 });
    });
    losses.push(...struck.losses);
    await meanwhile();
  }
  await scene.ended(180_000, meanwhile);
  const bill = await readBill(scene.platform.home);
  const checks = [
    ...(await scene.verdict()),
    resumedInTime(losses),
    ...billChecks(bill, lines - scene.submitted[0]!.input.badLines, kills),
  ];
  const figures = {
    lines,
    kills,
    linesPaidTwice: bill.twice,
    slowestResumeMs: longestMs(losses),
    ...(await speed(scene)),
  };
  return { checks, tables: [lossTable(losses)], figures };
}

function billChecks(
  { sent, lines, twice, twiceThoughKept, kept }: Bill,
  due: number,
  kills: number,
): Check[] {
  const most = kills * slots * callsAtOnce * linesPerCall * roundsLost;
  return [
    {
      name: 'no line that was kept is paid for again',
      holds: twiceThoughKept === 0 && kept >= due,
      found: `${twiceThoughKept} of ${kept} lines that were kept`,
    },
    {
      name: 'every good line was sent upstream, and again only what was in flight',
      holds: lines === due && twice <= most,
      found: `${sent} sendings of ${lines} lines; ${twice} lines sent again after ${kills} kills, ${most} at most`,
    },
  ];
}
