/** Guards the suite itself: every backend that the queues know must have run it. */
import { readFileSync } from 'node:fs';
import { backendKinds } from '#queues';
import { getServerUrl } from '../../support/postgres.ts';
import { findRedisServer } from '../../support/redis.ts';

test('there are two backends or more, and each has its spec of the conformance suite', () => {
  expect(backendKinds.length).toBeGreaterThanOrEqual(2);
  for (const kind of backendKinds) {
    const spec = readFileSync(new URL(`./${kind}.spec.ts`, import.meta.url), 'utf8');
    expect(spec).toMatch(/^ {2,4}conformance\(on\w+\);$/m);
    expect(spec).not.toMatch(/\.(only|skip|todo)\b/);
  }
});

test(`CI has the servers for both${process.env['CI'] === 'true' ? '' : ' (not asked for outside CI)'}`, () => {
  expect(getServerUrl()).toMatch(/^postgres/);
  if (process.env['CI'] === 'true') expect(findRedisServer()).not.toBeNull();
});
