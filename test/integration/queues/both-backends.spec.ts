/** Checks the suite itself: every queue backend must have a spec that runs the conformance suite. */
import { readFileSync } from 'node:fs';
import { backendKinds } from '#queues';
import { getServerUrl } from '../../support/postgres.ts';
import { findRedisServer } from '../../support/redis.ts';

test('there are at least two backends, and each has a spec that runs the conformance suite', () => {
  expect(backendKinds.length).toBeGreaterThanOrEqual(2);
  for (const kind of backendKinds) {
    const spec = readFileSync(new URL(`./${kind}.spec.ts`, import.meta.url), 'utf8');
    expect(spec).toMatch(/^ {2,4}queueConformance\(on\w+\);$/m);
    expect(spec).not.toMatch(/\.(only|skip|todo)\b/);
  }
});

test(`CI has the servers for both${process.env['CI'] === 'true' ? '' : ' (not checked outside CI)'}`, () => {
  expect(getServerUrl()).toMatch(/^postgres/);
  if (process.env['CI'] === 'true') expect(findRedisServer()).not.toBeNull();
});
