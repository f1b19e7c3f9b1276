/** A chunk's lines: checked, packed into calls, each call on its way as soon as the device has a turn for it. */
import { endpointAt, kindOf, lineBody, packingOf, type Kind, type KindId } from '#catalogue';
import type { BatchLine, NotRunCode } from '@millrace/contracts';
import type { ClaimedChunk } from '#database';
import { InvalidInput, pack, parseCheckedLine, type Failure, type Line } from '#domain';
import { silentRun, type Route } from '#providers';
import type { Logger } from '#telemetry';
import type { Release } from '../../inference/call-limiter.ts';
import type { ModelRuntimes } from '../../inference/model-runtimes.ts';
import {
  bindHandler,
  infer,
  toWireError,
  type InferOptions,
  type InferItem,
  type Outcome,
} from '../../inference/infer.ts';
import { embedMediaData } from '../../inference/store-media.ts';
import { createMediaSources, type MediaSourceDeps } from '../../inference/media-sources.ts';
import { waitUntilLoaded } from '../../models/wait-until-loaded.ts';
import { toProviderHold, type ProviderHold } from '../../release/provider-hold.ts';
import type { LineRecords } from './line-records.ts';

interface ReadyLine extends InferItem {
  readonly key: string;
  readonly tokens: number;
  readonly items: number;
}

/** What stands between a line and its call, where it costs money. */
export interface CallGate {
  /** Resolves when what is paid for can be kept; null when it can. */
  waitUntilWritable(): Promise<void> | null;
}

/** Where a chunk's calls go. */
export interface RunLinesDeps {
  readonly runtimes: ModelRuntimes;
  readonly route: (model: string, kind: KindId) => Route;
  readonly media: MediaSourceDeps;
}

/** @throws HeldUp when lines can't be run now; those that were answered are in `records`. */
export async function runLines(
  chunk: ClaimedChunk,
  lines: Iterable<Line>,
  records: LineRecords,
  deps: RunLinesDeps,
  signal: AbortSignal,
  log: Logger,
  payment: CallGate | null = null,
): Promise<void> {
  const kindId = chunk.kind as KindId;
  const kind = kindOf(kindId);
  const route = deps.route(chunk.model, kindId);
  await waitUntilLoaded(route, signal);
  const { limiter, policy, packing } = deps.runtimes.get(route, kindId);
  policy.unblockCredential();
  const inference: InferOptions = {
    kind,
    call: bindHandler(route, kindId),
    run: silentRun,
    media: createMediaSources(chunk.workspaceId, deps.media),
    signal,
    acquire: () => turnFor(payment, () => limiter.acquireBatch(chunk.batchId, chunk.index, signal), signal),
    policy,
    packing,
    observe: ({ ms }) => records.observeCall(ms),
    log,
  };
  const held: { by: ProviderHold | null } = { by: null };
  const isHeldUp = (failure: Failure) => {
    const by = toProviderHold(failure);
    held.by ??= by;
    return by !== null;
  };
  const calls = pack(prepare(lines, kind, chunk.endpoint, records, isHeldUp), packing);
  // Each lane takes the next call as soon as it is free; a call's lines are parsed when it is taken. Two lanes a turn:
  // while one's call is under way the other's is ready, so that no turn waits for lines to be parsed or written.
  const lane = async () => {
    for (const call of calls) {
      await infer(call, inference);
      if (held.by) return;
      await new Promise(setImmediate); // A provider that answers at once would keep the event loop for itself.
    }
  };
  await Promise.all(Array.from({ length: 2 * limiter.maxCalls }, lane));
  if (held.by) throw held.by;
}

/** A turn that may be used at once: what can't be kept is not paid for, and nobody waits for that with a turn in hand. */
async function turnFor(
  payment: CallGate | null,
  ask: () => Promise<Release>,
  signal: AbortSignal,
): Promise<Release> {
  for (;;) {
    const release = await ask();
    const ready = payment?.waitUntilWritable();
    if (!ready) return release;
    release();
    await ready;
    signal.throwIfAborted();
  }
}

/** Records every line as not run; the custom ids are all that is read. */
export function recordNotRun(lines: Iterable<Line>, records: LineRecords, code: NotRunCode): void {
  const message = {
    batch_cancelled: 'This batch was cancelled before this line was run.',
    batch_expired: 'This batch expired before this line was run.',
    request_timeout: 'This line was not answered in time.',
    worker_crashed: 'The worker stopped each time this line was tried.',
  }[code];
  for (const line of lines) records.addNotRun(line.number, accepted(line).custom_id, code, message);
}

/** The plan has read this line before and found it good. */
function accepted(line: Line): BatchLine {
  const parsed = parseCheckedLine(line.bytes);
  if (!parsed)
    throw new InvalidInput(`Line ${line.number} is not what was planned.`, { code: 'input_file_damaged' });
  return parsed;
}

/** Lines whose body breaks the kind's rules get their 400 here and go no further. */
function* prepare(
  lines: Iterable<Line>,
  kind: Kind,
  endpoint: string,
  records: LineRecords,
  isHeldUp: (failure: Failure) => boolean,
): Generator<ReadyLine> {
  const packing = packingOf(kind);
  const shape = endpointAt(endpoint);
  const shownAt = (json: string, body: BatchLine['body']) =>
    shape ? JSON.stringify(shape.toResponse(JSON.parse(json) as Record<string, unknown>, body)) : json;
  for (const line of lines) {
    if (records.isRestored(line.number)) continue;
    const { custom_id: customId, body } = accepted(line);
    const parsed = parse(body, kind, endpoint);
    if ('refused' in parsed) {
      const { message, param, code } = parsed.refused;
      records.addFailure(line.number, customId, 400, {
        message: `Line ${line.number}: ${message}`,
        type: 'invalid_request_error',
        param,
        code,
      });
      continue;
    }
    const { tokens, items } = packing.weigh(parsed.data);
    const settle = (outcome: Outcome) => {
      if ('answer' in outcome) {
        const { json, media, ...answer } = outcome.answer;
        return records.addSuccess(line.number, customId, {
          ...answer,
          json: shownAt(embedMediaData(json, media), body),
        });
      }
      const { failure } = outcome;
      if (isHeldUp(failure)) return;
      records.addFailure(line.number, customId, failure.status, toWireError(failure));
    };
    yield { body: parsed.data, settle, key: packing.key(parsed.data), tokens, items };
  }
}

function parse(
  body: BatchLine['body'],
  kind: Kind,
  endpoint: string,
): { data: unknown } | { refused: Pick<InvalidInput, 'message' | 'param' | 'code'> } {
  let given: unknown;
  try {
    given = lineBody(body, kind.id, endpoint);
  } catch (error) {
    if (error instanceof InvalidInput) return { refused: error };
    throw error;
  }
  const parsed = kind.body.safeParse(given);
  if (parsed.success) return parsed;
  const issue = parsed.error.issues[0]!;
  const param = issue.path.join('.') || null;
  const message = `${param ? `'${param}': ` : ''}${issue.message}.`;
  return { refused: { message, param, code: 'invalid_request' } };
}
