import { FairCallLimiter, type Release } from './call-limiter.ts';

const never = new AbortController().signal;
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** Asks, and notes in whose order the turns came. */
function room(slots: number) {
  const device = new FairCallLimiter(slots);
  const order: string[] = [];
  const held: Release[] = [];
  const got = (name: string) => (release: Release) => {
    order.push(name);
    held.push(release);
  };
  return {
    order,
    direct: (name: string, signal = never) => device.acquireDirect(signal).then(got(name)),
    batch: (name: string, batch = name, chunk = 0, signal = never) =>
      device.acquireBatch(batch, chunk, signal).then(got(name)),
    async next() {
      held.shift()!();
      await settled();
    },
  };
}

test('no more turns are out than the device has slots, and one that ends twice frees one', async () => {
  const device = new FairCallLimiter(2);
  const [first] = await Promise.all([device.acquireBatch('a', 0, never), device.acquireDirect(never)]);
  let third = false;
  let fourth = false;
  void device.acquireBatch('a', 0, never).then(() => (third = true));
  void device.acquireBatch('a', 0, never).then(() => (fourth = true));
  await settled();
  expect([third, fourth]).toEqual([false, false]);
  first();
  first();
  await settled();
  expect([third, fourth]).toEqual([true, false]);
});

test('a direct request goes before every chunk that waits, and among its like in order', async () => {
  const on = room(1);
  void on.batch('running');
  for (const name of ['a1', 'a2', 'a3']) void on.batch(name, 'a');
  void on.direct('d1');
  void on.direct('d2');
  await settled();
  for (let turn = 0; turn < 5; turn++) await on.next();
  expect(on.order).toEqual(['running', 'd1', 'd2', 'a1', 'a2', 'a3']);
});

test('batches take turns, however many calls each has waiting', async () => {
  const on = room(1);
  void on.batch('running', 'x');
  for (const name of ['a1', 'a2', 'a3', 'a4']) void on.batch(name, 'a');
  for (const name of ['b1', 'b2']) void on.batch(name, 'b');
  void on.batch('c1', 'c');
  await settled();
  for (let turn = 0; turn < 7; turn++) await on.next();
  expect(on.order).toEqual(['running', 'a1', 'b1', 'c1', 'a2', 'b2', 'a3', 'a4']);
});

test('of one batch the earliest chunk goes first, whichever asked first', async () => {
  const on = room(1);
  void on.batch('running', 'x');
  for (const name of ['second', 'second too']) void on.batch(name, 'a', 2);
  for (const name of ['first', 'first too']) void on.batch(name, 'a', 1);
  void on.batch('other', 'b', 7);
  await settled();
  for (let turn = 0; turn < 5; turn++) await on.next();
  expect(on.order).toEqual(['running', 'first', 'other', 'first too', 'second', 'second too']);
});

test('who takes the question back leaves the line, and nobody waits for them', async () => {
  const on = room(1);
  void on.batch('running');
  const gone = new AbortController();
  const direct = on.direct('gone', gone.signal);
  const batch = on.batch('gone too', 'a', 0, gone.signal);
  void on.batch('stays', 'b');
  gone.abort(new Error('left'));
  await expect(direct).rejects.toThrow('left');
  await expect(batch).rejects.toThrow('left');
  await expect(on.direct('late', gone.signal)).rejects.toThrow('left');
  await on.next();
  expect(on.order).toEqual(['running', 'stays']);
});
