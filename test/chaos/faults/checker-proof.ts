/** No fault: after a clean run it violates each invariant once. The checker must find each violation. */
import { waitUntil } from '../../support/platform.ts';
import { send } from '../direct-caller.ts';
import type { Check, Fault, FaultOptions, FaultResult } from '../fault.ts';
import { violations } from '../invariant-violations.ts';
import { Deployment } from '../deployment.ts';

export const checkerProof: Fault = {
  name: 'checker-proof',
  title: 'each invariant violated once; the checker must find it',
  backends: ['embedded'],
  run: (options) => Deployment.use(options, {}, (deployment) => runFault(deployment, options)),
};

async function runFault(deployment: Deployment, options: FaultOptions): Promise<FaultResult> {
  await deployment.submit({ lines: options.lines ?? 300, delayMs: 1_000 });
  await deployment.waitUntilChunkRuns();
  await deployment.snapshotQueue();
  await send(deployment.platform, { key: 'direct', delayMs: 0 });
  await deployment.waitUntilEnded(60_000);
  await waitUntilUsageIsRolledUp(deployment);
  const before = await deployment.runChecker();
  const checks: Check[] = [allHold('all invariants hold before the violations', before)];
  for (const { description, expectedCheck, introduce } of violations) {
    const undo = await introduce(deployment);
    const invariants = await deployment.runChecker();
    await undo();
    const found = invariants.find(({ name, holds }) => !holds && name.startsWith(expectedCheck));
    checks.push({
      name: `found: ${description}`,
      holds: !!found,
      found: found ? `“${found.name}”: ${found.found}` : 'no',
    });
  }
  checks.push(
    allHold('all invariants hold again after the violations are undone', await deployment.runChecker()),
  );
  return { checks, tables: [], figures: { violations: violations.length } };
}

/** A violation ends an attempt a second time, which the database refuses while the first usage entry waits. */
async function waitUntilUsageIsRolledUp({ database }: Deployment): Promise<void> {
  await waitUntil(async () => (await database.rows('select from usage_entries limit 1')).length === 0, {
    what: 'the usage to be rolled up',
    withinMs: 60_000,
  });
}

function allHold(name: string, invariants: readonly Check[]): Check {
  const broken = invariants.filter(({ holds }) => !holds).map((check) => `${check.name}: ${check.found}`);
  return { name, holds: broken.length === 0, found: broken.join('; ') || `${invariants.length} checks` };
}
