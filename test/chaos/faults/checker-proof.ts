/** No fault at all, but every invariant broken by hand after a clean run: a check that can't fail would show here. */
import { send } from '../direct-caller.ts';
import type { Check, Fault, FaultOptions, FaultResult } from '../fault.ts';
import { violations } from '../invariant-violations.ts';
import { Deployment } from '../deployment.ts';

export const checkerProof: Fault = {
  name: 'checker-proof',
  title: 'each invariant broken by hand, which the checker must notice',
  backends: ['embedded'],
  run: (options) => Deployment.use(options, {}, (deployment) => runFault(deployment, options)),
};

async function runFault(deployment: Deployment, options: FaultOptions): Promise<FaultResult> {
  await deployment.submit({ lines: options.lines ?? 300, delayMs: 1_000 });
  await deployment.waitUntilChunkRuns();
  await deployment.snapshotQueue();
  await send(deployment.platform, { key: 'direct', delayMs: 0 });
  await deployment.waitUntilEnded(60_000);
  const before = await deployment.runChecker();
  const checks: Check[] = [allHold('before any of it all invariants hold', before)];
  for (const { what, breaks, act: violation } of violations) {
    const undo = await violation(deployment);
    const invariants = await deployment.runChecker();
    await undo();
    const found = invariants.find(({ name, holds }) => !holds && name.startsWith(breaks));
    checks.push({
      name: `noticed: ${what}`,
      holds: !!found,
      found: found ? `“${found.name}”: ${found.found}` : 'no',
    });
  }
  checks.push(allHold('after all of it was undone they hold again', await deployment.runChecker()));
  return { checks, tables: [], figures: { violations: violations.length } };
}

function allHold(name: string, invariants: readonly Check[]): Check {
  const broken = invariants.filter(({ holds }) => !holds).map((check) => `${check.name}: ${check.found}`);
  return { name, holds: broken.length === 0, found: broken.join('; ') || `${invariants.length} checks` };
}
