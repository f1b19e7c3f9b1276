/** The price table, read from the file that PRICES names. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { ConfigError, type Config } from './config.ts';

const dollars = z.number().min(0).max(1e6);

const price = z.strictObject({
  input_tokens: dollars.optional(),
  output_tokens: dollars.optional(),
  image: dollars.optional(),
  second: dollars.optional(),
  call: dollars.optional(),
});

const table = z.record(
  z
    .string()
    .regex(/^[^/\s]+\/\S+$|^\*$/, 'models are named like openai/gpt-4.1-mini, openai/* or *')
    .max(256),
  price,
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
    throw new ConfigError([`PRICES: the file can't be read (${code})`]);
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new ConfigError(['PRICES: the file is not JSON']);
  }
}
