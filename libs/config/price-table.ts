/** The price table, read from the file that PRICES names. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { ConfigError } from './config-error.ts';
import type { Config } from './config.ts';

const wrongAmount = 'must be a number of US dollars from 0 to 1000000';
const dollars = z.number(wrongAmount).min(0, wrongAmount).max(1e6, wrongAmount).optional();

const price = z.strictObject(
  { input_tokens: dollars, output_tokens: dollars, image: dollars, second: dollars, call: dollars },
  {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? `unknown name ${issue.keys.join(', ')}; prices are input_tokens, output_tokens, image, second and call`
        : 'must be an object like {"input_tokens": 0.4}',
  },
);

const table = z.record(
  z
    .string()
    .regex(/^[^/\s]+\/\S+$|^\*$/, 'models are named like openai/gpt-4.1-mini, openai/* or *')
    .max(256, 'the name is longer than 256 characters'),
  price,
  'the file must be one object, with prices by model',
);

/** @returns prices in US dollars by model or pattern, empty if PRICES is unset. @throws ConfigError with every invalid entry. */
export function loadPriceTable({ PRICES: path }: Pick<Config, 'PRICES'>) {
  if (path === undefined) return {};
  const parsed = table.safeParse(readJson(path));
  if (!parsed.success) {
    throw new ConfigError(
      parsed.error.issues.map((issue) => {
        const { message } = issue.code === 'invalid_key' ? (issue.issues[0] ?? issue) : issue;
        return `PRICES: ${[...issue.path, message].join(': ')}`;
      }),
    );
  }
  return Object.fromEntries(
    Object.entries(parsed.data).map(([model, { input_tokens, output_tokens, ...others }]) => [
      model,
      { inputTokens: input_tokens, outputTokens: output_tokens, ...others },
    ]),
  );
}

function readJson(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const { code = 'unknown' } = error as NodeJS.ErrnoException;
    const reason = code === 'ENOENT' ? 'does not exist' : `can't be read (${code})`;
    throw new ConfigError([`PRICES: the file ${path} ${reason}`]);
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new ConfigError([`PRICES: the file ${path} is not JSON`]);
  }
}
