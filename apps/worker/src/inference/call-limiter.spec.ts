import { FairCallLimiter, type Release } from './call-limiter.ts';

const never = new AbortController().signal;
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** Acquires permits, and records the order in which they were granted. */
function createFixture(maxCalls: number) {
  const limiter = new FairCallLimiter(maxCalls);
  const order: string[] = [];
  const held: Release[] = [];
  const record = (name: string) => (release: Release) => {
    order.push(name);
    held.push(release);
  };
  return {
    order,
    direct: (name: string, signal = never) => limiter.acquireDirect(signal).then(record(name)),
    batch: (name: string, batch = name, chunk = 0, signal = never) =>
      limiter.acquireBatch(batch, chunk, signal).then(record(name)),
    async releaseNext() {
      held.shift()!();
      await settled();
    },
  };
}

test('grants at most maxCalls permits, and a permit that is released twice frees one', async () => {
  const limiter = new FairCallLimiter(2);
  const [first] = await Promise.all([limiter.acquireBatch('a', 0, never), limiter.acquireDirect(never)]);
  let third = false;
  let fourth = false;
  void limiter.acquireBatch('a', 0, never).then(() => (third = true));
  void limiter.acquireBatch('a', 0, never).then(() => (fourth = true));
  await settled();
  expect([third, fourth]).toEqual([false, false]);
  first();
  first();
  await settled();
  expect([third, fourth]).toEqual([true, false]);
});

test('a direct request comes before every waiting chunk, and direct requests keep their order', async () => {
  const fixture = createFixture(1);
  void fixture.batch('running');
  for (const name of ['a1', 'a2', 'a3']) void fixture.batch(name, 'a');
  void fixture.direct('d1');
  void fixture.direct('d2');
  await settled();
  for (let nth = 0; nth < 5; nth++) await fixture.releaseNext();
  expect(fixture.order).toEqual(['running', 'd1', 'd2', 'a1', 'a2', 'a3']);
});

test('batches take turns, however many calls each has waiting', async () => {
  const fixture = createFixture(1);
  void fixture.batch('running', 'x');
  for (const name of ['a1', 'a2', 'a3', 'a4']) void fixture.batch(name, 'a');
  for (const name of ['b1', 'b2']) void fixture.batch(name, 'b');
  void fixture.batch('c1', 'c');
  await settled();
  for (let nth = 0; nth < 7; nth++) await fixture.releaseNext();
  expect(fixture.order).toEqual(['running', 'a1', 'b1', 'c1', 'a2', 'b2', 'a3', 'a4']);
});

test('within a batch the earliest chunk comes first, whichever asked first', async () => {
  const fixture = createFixture(1);
  void fixture.batch('running', 'x');
  for (const name of ['second', 'second too']) void fixture.batch(name, 'a', 2);
  for (const name of ['first', 'first too']) void fixture.batch(name, 'a', 1);
  void fixture.batch('other', 'b', 7);
  await settled();
  for (let nth = 0; nth < 5; nth++) await fixture.releaseNext();
  expect(fixture.order).toEqual(['running', 'first', 'other', 'first too', 'second', 'second too']);
});

test('an aborted waiter leaves the queue, and the others do not wait for it', async () => {
  const fixture = createFixture(1);
  void fixture.batch('running');
  const aborted = new AbortController();
  const direct = fixture.direct('aborted', aborted.signal);
  const batch = fixture.batch('aborted too', 'a', 0, aborted.signal);
  void fixture.batch('stays', 'b');
  aborted.abort(new Error('left'));
  await expect(direct).rejects.toThrow('left');
  await expect(batch).rejects.toThrow('left');
  await expect(fixture.direct('late', aborted.signal)).rejects.toThrow('left');
  await fixture.releaseNext();
  expect(fixture.order).toEqual(['running', 'stays']);
});
