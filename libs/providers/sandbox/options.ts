/** The sandbox's time and faults: named by a model's suffix, or spelled out in a request's `metadata.sandbox`. */
import { channel } from 'node:diagnostics_channel';
import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import { InvalidInput, ProviderFailure } from '#domain';
import type { Run } from '../provider.ts';

const optionsSchema = z.strictObject({
  /** Time of a call, and on top of it of each input. */
  delay_ms: z.number().min(0).max(3_600_000).optional(),
  item_ms: z.number().min(0).max(60_000).optional(),
  /** Time of each word of a text, and how many words it has. */
  token_ms: z.number().min(0).max(60_000).optional(),
  tokens: z.int().min(1).max(100_000).optional(),
  /** How far it is: in percent, by its place in a queue for the first half, or not at all. */
  progress: z.enum(['percent', 'queue', 'none']).optional(),
  /** Every call is answered with this status. */
  status: z.int().min(400).max(599).optional(),
  /** Share of calls that are answered with 503, drawn anew at each try. */
  flaky: z.number().min(0).max(1).optional(),
  /** Any call that holds an input containing this text is answered with 400. */
  reject: z.string().min(1).optional(),
});

export type SandboxOptions = z.output<typeof optionsSchema>;

export const suffixes: Record<string, SandboxOptions> = {
  slow: { delay_ms: 20, item_ms: 1 },
  flaky: { flaky: 0.2 },
  /** Its lines count as paid for. */
  paid: {},
  hang: { delay_ms: 600_000 },
  /** A model that takes no images. */
  blind: {},
  '400': { status: 400 },
  '401': { status: 401 },
  '429': { status: 429 },
  '500': { status: 500 },
  '503': { status: 503 },
};

/** @throws InvalidInput when `metadata.sandbox` is not what it should be. */
export function parseOptions(
  model: string,
  metadata: Record<string, string> | null | undefined,
): SandboxOptions {
  const suffix = model.split(':')[1] ?? '';
  const named = Object.hasOwn(suffixes, suffix) ? suffixes[suffix]! : {};
  const text = metadata?.['sandbox'];
  if (text === undefined) return named;
  try {
    return { ...named, ...optionsSchema.parse(JSON.parse(text)) };
  } catch {
    throw new InvalidInput(
      `metadata.sandbox is JSON with any of: ${Object.keys(optionsSchema.shape).join(', ')}.`,
      { param: 'metadata.sandbox' },
    );
  }
}

/** Where fault runs count the calls, as an upstream would bill them. */
const calls = channel('millrace:sandbox.call');

/** Runs `answer` after the time, and with the faults, that the options name. */
export async function runWithFaults<T>(
  options: SandboxOptions,
  inputs: readonly unknown[],
  run: Run,
  answer: () => T,
): Promise<Awaited<T>> {
  if (calls.hasSubscribers) calls.publish({ step: 'begun', inputs });
  await passTime((options.delay_ms ?? 0) + (options.item_ms ?? 0) * inputs.length, options, run);
  run.signal.throwIfAborted();
  if (options.status) throw refusal(options.status);
  if (options.flaky && Math.random() < options.flaky) throw refusal(503);
  const { reject } = options;
  if (reject && inputs.some((input) => typeof input === 'string' && input.includes(reject)))
    throw refusal(400);
  const answered = await answer();
  if (calls.hasSubscribers) calls.publish({ step: 'answered', inputs });
  return answered;
}

/** How often it says how far it is. */
const stepMs = 100;

/** Where an upstream would have begun a run, an interrupted one goes on: its id is when it began. */
const runPrefix = 'sandbox-run-';

/** Short work has no progress to speak of. */
const longMs = 500;

async function passTime(ms: number, { progress = 'percent' }: SandboxOptions, run: Run): Promise<void> {
  const { signal } = run;
  if (ms < longMs) {
    if (ms > 0) await wait(ms, undefined, { signal });
    return;
  }
  const now = Date.now();
  const resumed = run.resume?.startsWith(runPrefix) ? Number(run.resume.slice(runPrefix.length)) : NaN;
  const began = resumed <= now ? resumed : now;
  if (began === now) await run.saveRunId(`${runPrefix}${now}`);
  for (let passed = now - began; passed < ms; passed = Date.now() - began) {
    const share = passed / ms;
    if (progress === 'percent') run.reportProgress({ percent: Math.floor(share * 100), stage: 'running' });
    if (progress === 'queue' && share < 0.5)
      run.reportProgress({ queuePosition: Math.ceil((0.5 - share) * 10), stage: 'queued' });
    await wait(Math.min(stepMs, ms - passed), undefined, { signal });
  }
}

function refusal(status: number): ProviderFailure {
  return new ProviderFailure(`The sandbox was asked to answer ${status}.`, {
    code: `sandbox_${status}`,
    status,
    retryable: status === 408 || status === 429 || status >= 500,
  });
}
