import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from './config-error.ts';
import { loadPriceTable } from './price-table.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-prices-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const loadTable = (text: string) => {
  const PRICES = join(folder, 'prices.json');
  writeFileSync(PRICES, text);
  return loadPriceTable({ PRICES });
};

test('reads prices by model; without a table there are none', () => {
  expect(
    loadTable(`{"openai/gpt-4.1-mini": {"input_tokens": 0.4, "output_tokens": 1.6},
      "hf/*:fal-ai": {"image": 0.03, "second": 0.1}, "*": {"call": 0}}`),
  ).toEqual({
    'openai/gpt-4.1-mini': { inputTokens: 0.4, outputTokens: 1.6 },
    'hf/*:fal-ai': { image: 0.03, second: 0.1 },
    '*': { call: 0 },
  });
  expect(loadPriceTable({ PRICES: undefined })).toEqual({});
});

test.each([
  ['{"openai/x": {"input": 1}}', /PRICES: openai\/x: unknown name input; prices are input_tokens/],
  ['{"openai/x": {"image": -1}}', /PRICES: openai\/x: image: must be a number of US dollars/],
  ['{"gpt-4.1-mini": {"call": 1}}', /named like openai\/gpt-4\.1-mini/],
  ['{"openai/x": 3}', /PRICES: openai\/x: must be an object/],
  ['[]', /PRICES: the file must be one object/],
  ['{', /not JSON/],
])('%s is refused with the reason', (text, message) => {
  expect(() => loadTable(text)).toThrow(message);
  expect(() => loadTable(text)).toThrow(ConfigError);
});

test('the error of a missing file says so', () => {
  expect(() => loadPriceTable({ PRICES: join(folder, 'nothing') })).toThrow(
    /PRICES: the file .*nothing does not exist/,
  );
});
