/** Runs a sandbox call with the delay, the progress and the faults that its options ask for. */
import { channel } from 'node:diagnostics_channel';
import { setTimeout as wait } from 'node:timers/promises';
import { ProviderFailure } from '#domain';
import type { Run } from '../run.ts';
import type { SandboxOptions } from './options.ts';

/** The fault suite counts calls here, as an upstream would bill them. */
const callChannel = channel('millrace:sandbox.call');

export async function runWithFaults<T>(
  options: SandboxOptions,
  inputs: readonly unknown[],
  run: Run,
  answer: () => T,
): Promise<Awaited<T>> {
  if (callChannel.hasSubscribers) callChannel.publish({ step: 'started', inputs });
  await delay((options.delay_ms ?? 0) + (options.item_ms ?? 0) * inputs.length, options, run);
  run.signal.throwIfAborted();
  if (options.status) throw buildFailure(options.status);
  if (options.flaky && Math.random() < options.flaky) throw buildFailure(503);
  const { reject } = options;
  if (reject && inputs.some((input) => typeof input === 'string' && input.includes(reject)))
    throw buildFailure(400);
  const output = await answer();
  if (callChannel.hasSubscribers) callChannel.publish({ step: 'answered', inputs });
  return output;
}

/** Time between two progress reports. */
const progressIntervalMs = 100;

/** Shorter delays report no progress and start no run. */
const minRunMs = 500;

/** A run's id contains its start time, so that the next attempt resumes it. */
const runIdPrefix = 'sandbox-run-';

async function delay(ms: number, { progress = 'percent' }: SandboxOptions, run: Run): Promise<void> {
  const { signal } = run;
  if (ms < minRunMs) {
    if (ms > 0) await wait(ms, undefined, { signal });
    return;
  }
  const now = Date.now();
  const resumedStart = run.resume?.startsWith(runIdPrefix)
    ? Number(run.resume.slice(runIdPrefix.length))
    : NaN;
  const startedAt = resumedStart <= now ? resumedStart : now;
  if (startedAt === now) await run.saveRunId(`${runIdPrefix}${now}`);
  for (let elapsed = now - startedAt; elapsed < ms; elapsed = Date.now() - startedAt) {
    const share = elapsed / ms;
    if (progress === 'percent') run.reportProgress({ percent: Math.floor(share * 100), stage: 'running' });
    if (progress === 'queue' && share < 0.5)
      run.reportProgress({ queuePosition: Math.ceil((0.5 - share) * 10), stage: 'queued' });
    await wait(Math.min(progressIntervalMs, ms - elapsed), undefined, { signal });
  }
}

function buildFailure(status: number): ProviderFailure {
  return new ProviderFailure(`The sandbox's options ask for status ${status}.`, {
    code: `sandbox_${status}`,
    status,
    retryable: status === 408 || status === 429 || status >= 500,
  });
}
