import { jest } from '@jest/globals';
import { Coalescer } from './coalescer.ts';

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

test('sends the first value at once, then the newest of each window, and always the last', () => {
  const sent: number[] = [];
  const coalescer = new Coalescer<number>(100, (_, value) => sent.push(value));
  coalescer.push('a', 1);
  coalescer.push('a', 2);
  coalescer.push('a', 3);
  expect(sent).toEqual([1]);
  jest.advanceTimersByTime(100);
  expect(sent).toEqual([1, 3]);
  coalescer.push('a', 4);
  expect(sent).toEqual([1, 3]);
  jest.advanceTimersByTime(100);
  expect(sent).toEqual([1, 3, 4]);
  jest.advanceTimersByTime(1_000);
  expect(sent).toEqual([1, 3, 4]);
});

test('keys do not delay each other, and leave no timer behind', () => {
  const sent: string[] = [];
  const coalescer = new Coalescer<number>(100, (key) => sent.push(key));
  coalescer.push('a', 1);
  coalescer.push('b', 1);
  expect(sent).toEqual(['a', 'b']);
  jest.advanceTimersByTime(100);
  expect(jest.getTimerCount()).toBe(0);
});

test('flush sends the waiting value once', () => {
  const sent: number[] = [];
  const coalescer = new Coalescer<number>(100, (_, value) => sent.push(value));
  coalescer.push('a', 1);
  coalescer.push('a', 2);
  coalescer.flush();
  jest.advanceTimersByTime(1_000);
  expect(sent).toEqual([1, 2]);
});
