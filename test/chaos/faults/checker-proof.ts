/** No fault at all, but every invariant broken by hand after a clean run: a check that can't fail would show here. */
import { send } from '../direct-caller.ts';
import type { Check, Fault, FaultOptions, FaultResult } from '../fault.ts';
import { sabotages } from '../sabotage.ts';
import { Scene } from '../scene.ts';

export const checkerProof: Fault = {
  name: 'checker-proof',
  title: 'each invariant broken by hand, which the checker must notice',
  backends: ['embedded'],
  run: (options) => Scene.play(options, {}, (scene) => act(scene, options)),
};

async function act(scene: Scene, options: FaultOptions): Promise<FaultResult> {
  await scene.submit({ lines: options.lines ?? 300, delayMs: 1_000 });
  await scene.running();
  await scene.look();
  await send(scene.platform, { key: 'direct', delayMs: 0 });
  await scene.ended(60_000);
  const before = await scene.verdict();
  const checks: Check[] = [allHold('before any of it all invariants hold', before)];
  for (const { what, breaks, act: sabotage } of sabotages) {
    const undo = await sabotage(scene);
    const verdict = await scene.verdict();
    await undo();
    const found = verdict.find(({ name, holds }) => !holds && name.startsWith(breaks));
    checks.push({
      name: `noticed: ${what}`,
      holds: !!found,
      found: found ? `“${found.name}”: ${found.found}` : 'no',
    });
  }
  checks.push(allHold('after all of it was undone they hold again', await scene.verdict()));
  return { checks, tables: [], figures: { sabotages: sabotages.length } };
}

function allHold(name: string, verdict: readonly Check[]): Check {
  const broken = verdict.filter(({ holds }) => !holds).map((check) => `${check.name}: ${check.found}`);
  return { name, holds: broken.length === 0, found: broken.join('; ') || `${verdict.length} checks` };
}
