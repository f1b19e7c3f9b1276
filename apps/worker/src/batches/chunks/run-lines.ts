/** Runs a chunk's lines: packs them into calls, and sends each call as soon as the call limiter has a permit. */
import { findKind, type KindId } from '#catalogue';
import type { LineErrorCode } from '@millrace/contracts';
import type { ClaimedChunk } from '#database';
import { pack, type Failure, type Line } from '#domain';
import { createSilentRun, type Providers } from '#providers';
import type { Logger } from '#telemetry';
import type { Release } from '../../inference/call-limiter.ts';
import { bindHandler, infer, type InferOptions } from '../../inference/infer.ts';
import { createMediaSources, type MediaSourceDeps } from '../../inference/media-sources.ts';
import type { ModelRuntimes } from '../../inference/model-runtimes.ts';
import { waitUntilLoaded } from '../../models/wait-until-loaded.ts';
import { toProviderHold, type ProviderHold } from '../../release/provider-hold.ts';
import type { LineRecords } from './line-records.ts';
import { parsePlannedLine, prepareLines } from './prepare-lines.ts';

/** Blocks calls of billed lines while their results could not be stored. */
export interface CallGate {
  /** @returns null when results can be stored, otherwise a promise that resolves when they can. */
  waitUntilWritable(): Promise<void> | null;
}

export interface RunLinesDeps {
  readonly runtimes: ModelRuntimes;
  readonly route: Providers['route'];
  readonly media: MediaSourceDeps;
}

/** @throws ProviderHold when lines can't run now. Lines that were answered before are in `records`. */
export async function runLines(
  chunk: ClaimedChunk,
  lines: Iterable<Line>,
  records: LineRecords,
  deps: RunLinesDeps,
  signal: AbortSignal,
  log: Logger,
  gate: CallGate | null = null,
): Promise<void> {
  const kindId = chunk.kind as KindId;
  const kind = findKind(kindId);
  const route = deps.route(chunk.model, kindId, chunk);
  await waitUntilLoaded(route, signal);
  const { limiter, policy, packing } = deps.runtimes.get(route, kindId);
  policy.unblockCredential();
  const acquire = () => limiter.acquireBatch(chunk.batchId, chunk.index, signal);
  const options: InferOptions = {
    kind,
    call: bindHandler(route, kindId),
    run: createSilentRun,
    media: createMediaSources(chunk.workspaceId, deps.media),
    signal,
    acquire: () => acquireThroughGate(gate, acquire, signal),
    policy,
    patienceMs: null,
    mayDefer: policy.mayDefer(chunk.ageMs),
    packing,
    observe: ({ ms }) => records.observeCall(ms),
    log,
  };
  const hold: { current: ProviderHold | null } = { current: null };
  const holdsChunk = (failure: Failure) => {
    const found = toProviderHold(failure);
    hold.current ??= found;
    return found !== null;
  };
  const calls = pack(prepareLines(lines, { kind, endpoint: chunk.endpoint, records, holdsChunk }), packing);
  const runCalls = async () => {
    for (const call of calls) {
      await infer(call, options);
      if (hold.current) return;
      await new Promise(setImmediate); // A provider that answers at once would block the event loop.
    }
  };
  // Two loops per permit: while the call of one runs, the other parses its lines, so that no permit waits for parsing.
  await Promise.all(Array.from({ length: 2 * limiter.maxCalls }, runCalls));
  if (hold.current) throw hold.current;
}

/** @returns a permit that can be used at once. It never holds a permit while it waits for the gate. */
async function acquireThroughGate(
  gate: CallGate | null,
  acquire: () => Promise<Release>,
  signal: AbortSignal,
): Promise<Release> {
  for (;;) {
    const release = await acquire();
    const writable = gate?.waitUntilWritable();
    if (!writable) return release;
    release();
    await writable;
    signal.throwIfAborted();
  }
}

const notRunMessages: Record<LineErrorCode, string> = {
  batch_cancelled: 'The batch was cancelled before this line ran.',
  batch_expired: 'The batch expired before this line ran.',
  request_timeout: 'This line got no answer in time.',
  result_not_stored: 'The result of this line could not be stored.',
  worker_crashed: 'The worker crashed each time it ran this line.',
};

/** Records all lines without a record as not run. It reads only their custom ids. */
export function recordNotRun(lines: Iterable<Line>, records: LineRecords, code: LineErrorCode): void {
  for (const line of lines) {
    records.addNotRun(line.number, parsePlannedLine(line).custom_id, code, notRunMessages[code]);
  }
}
