/** What a queue backend must do for Millrace; `redis.spec.ts` and `postgres.spec.ts` run it on each. */
import type { BackendUnderTest } from './bench.ts';
import { delivering } from './delivering.ts';
import { enduring } from './enduring.ts';
import { interrupting } from './interrupting.ts';

export function conformance(make: () => Promise<BackendUnderTest>): void {
  let backend: BackendUnderTest | undefined;
  const under = (): BackendUnderTest => {
    if (!backend) throw new Error('the backend did not start');
    return backend;
  };
  beforeAll(async () => {
    backend = await make();
  });
  afterAll(() => backend?.dispose());

  delivering(under);
  interrupting(under);
  enduring(under);
}
