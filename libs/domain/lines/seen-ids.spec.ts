import { SeenIds } from './seen-ids.ts';

test('returns the earlier lines of an id and no others', () => {
  const ids = new SeenIds();
  let suspected = 0;
  for (let line = 1; line <= 200_000; line++) suspected += ids.add(`row-${line}`, line).length;
  expect(suspected).toBe(0);
  expect(ids.add('row-1', 200_001)).toEqual([1]);
  expect(ids.add('row-200000', 200_002)).toEqual([200_000]);
  expect(ids.add('row-1', 200_003)).toEqual([1, 200_001]);
});

test('returns all lines with the same hash in ascending order, also after growth', () => {
  const ids = new SeenIds(() => [7, 7]);
  for (let line = 1; line <= 3_500; line++) {
    const suspects = ids.add(`row-${line}`, line);
    if (!isRunFromOne(suspects, line - 1)) throw new Error(`line ${line}: ${suspects.join()}`);
  }
});

function isRunFromOne(lines: number[], length: number): boolean {
  return lines.length === length && lines.every((line, at) => line === at + 1);
}

test('ids that only share a table position are not returned', () => {
  // The low half of the hash picks the position, the high half tells the ids apart.
  let high = 0;
  const ids = new SeenIds(() => [5, high++]);
  const suspects: number[] = [];
  for (let line = 1; line <= 3_000; line++) suspects.push(...ids.add('x', line));
  expect(suspects).toEqual([]);
});

test('names of object properties and unusual text work like other ids', () => {
  const ids = new SeenIds();
  const odd = ['__proto__', 'constructor', '\u0000', '\ud800', '\udc00', '', ' ', 'é', 'e\u0301'];
  expect(odd.map((id, at) => ids.add(id, at + 1))).toEqual(odd.map(() => []));
  expect(odd.map((id, at) => ids.add(id, at + 100))).toEqual(odd.map((_, at) => [at + 1]));
});
