import { parseAccelerators } from './accelerators.ts';

test('parses the GPUs that nvidia-smi lists', () => {
  const csv = 'NVIDIA H200, 143771, 1024, 37\nTesla T4, 15360, 0, [N/A]\n';
  expect(parseAccelerators(csv)).toEqual([
    {
      name: 'NVIDIA H200',
      memory_total_bytes: 143_771 * 2 ** 20,
      memory_used_bytes: 2 ** 30,
      utilization: 37,
    },
    { name: 'Tesla T4', memory_total_bytes: 15_360 * 2 ** 20, memory_used_bytes: 0, utilization: null },
  ]);
});

test.each(['', 'No devices were found\n', 'NVIDIA-SMI has failed because it could not talk to the driver.'])(
  'returns no GPU for other text: %j',
  (text) => {
    expect(parseAccelerators(text)).toEqual([]);
  },
);
