import { getRestartDelay } from './restart-delay.ts';

test('the first restart is at once, later ones wait longer, up to 10 s', () => {
  const delays: number[] = [];
  let delay: number | null = null;
  for (let deaths = 0; deaths < 10; deaths++) delays.push((delay = getRestartDelay(delay, 50)));
  expect(delays).toEqual([100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000, 10_000]);
});

test('a process that crashes after a long run is restarted at once', () => {
  expect(getRestartDelay(10_000, 60_000)).toBe(100);
});
