/** Conformance suite of a queue backend. `redis.spec.ts` and `postgres.spec.ts` run it. */
import type { BackendUnderTest } from './queue-harness.ts';
import { deliveryTests } from './delivery-tests.ts';
import { livenessTests } from './liveness-tests.ts';
import { outageTests } from './outage-tests.ts';
import { interruptionTests } from './interruption-tests.ts';

export function queueConformance(make: () => Promise<BackendUnderTest>): void {
  let backend: BackendUnderTest | undefined;
  const getBackend = (): BackendUnderTest => {
    if (!backend) throw new Error('the backend did not start');
    return backend;
  };
  beforeAll(async () => {
    backend = await make();
  });
  afterAll(() => backend?.close());

  deliveryTests(getBackend);
  interruptionTests(getBackend);
  livenessTests(getBackend);
  outageTests(getBackend);
}
