import { Prices } from '#domain';
import { UsageMeter } from './usage-meter.ts';

const prices = new Prices({ 'x/*': { inputTokens: 2, outputTokens: 10, image: 0.01, second: 0.1 } });

test('reported and estimated cost are never mixed', () => {
  const meter = new UsageMeter();
  meter.add({ inputTokens: 100, outputTokens: 10, cost: 0.000_4 });
  meter.add({ inputTokens: 100, outputTokens: 10 });
  // One of two answers has a reported cost. The estimate covers both.
  expect(meter.toMetering('x/y', prices)).toMatchObject({
    ...{ reportedCost: 400_000, reportedRequests: 1, estimatedCost: 600_000 },
  });
  expect(meter.toMetering('y/z', prices)).toMatchObject({ reportedCost: 400_000, estimatedCost: null });
});

test('no reported cost is null, a reported cost of 0 is 0', () => {
  const meter = new UsageMeter();
  meter.add({ inputTokens: 1, outputTokens: 0 });
  expect(meter.toMetering('y/z', prices)).toMatchObject({ reportedCost: null, reportedRequests: 0 });
  meter.add({ inputTokens: 1, outputTokens: 0, cost: 0 });
  expect(meter.toMetering('y/z', prices)).toMatchObject({ reportedCost: 0, reportedRequests: 1 });
});

test('sums images and seconds', () => {
  const meter = new UsageMeter();
  meter.add({ inputTokens: 0, outputTokens: 0, images: 2 });
  meter.add({ inputTokens: 0, outputTokens: 0, seconds: 1.5 });
  expect(meter.toMetering('x/y', prices)).toMatchObject({
    images: 2,
    mediaMs: 1_500,
    estimatedCost: 170_000_000,
  });
});
