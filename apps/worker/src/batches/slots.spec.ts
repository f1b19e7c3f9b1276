import { setImmediate as turn } from 'node:timers/promises';
import { Slots } from './slots.ts';

const never = new AbortController().signal;

/** @returns the names of those that have a slot, in the order in which they had it. */
function asking(slots: Slots) {
  const had: string[] = [];
  const ask = (name: string, signal = never) =>
    slots.take(signal).then((giveUp) => {
      had.push(name);
      return giveUp;
    });
  return { had, ask };
}

test('so many are taken at once, and given on in the order in which they were asked for', async () => {
  const { had, ask } = asking(new Slots(2));
  const [a] = await Promise.all([ask('a'), ask('b')]);
  void ask('c');
  void ask('d');
  await turn();
  expect(had).toEqual(['a', 'b']);
  a();
  a();
  await turn();
  expect(had).toEqual(['a', 'b', 'c']);
});

test('who is aborted no longer waits, and takes no slot from anyone', async () => {
  const { had, ask } = asking(new Slots(1));
  const a = await ask('a');
  const abort = new AbortController();
  const b = ask('b', abort.signal);
  void ask('c');
  abort.abort();
  const giveUp = await b;
  expect(had).toEqual(['a', 'b']);
  giveUp();
  await turn();
  expect(had).toEqual(['a', 'b']);
  a();
  await turn();
  expect(had).toEqual(['a', 'b', 'c']);
  expect(await new Slots(1).take(abort.signal)).toBeInstanceOf(Function);
});
