/** A chunk's lines: checked, packed into calls, each call on its way as soon as the device has a turn for it. */
import { endpointAt, kindOf, lineBody, packingOf, type Kind, type KindId } from '#catalogue';
import type { BatchLine, NotRunCode } from '#contracts';
import type { ClaimedChunk } from '#database';
import { InvalidInput, pack, parseCheckedLine, type Failure, type Line } from '#domain';
import { silentRun, type Route } from '#providers';
import type { Logger } from '#telemetry';
import type { Release } from '../inference/device.ts';
import type { Devices } from '../inference/devices.ts';
import { callOf, infer, wireErrorOf, type Inference, type Item, type Outcome } from '../inference/infer.ts';
import { withData } from '../inference/keep-media.ts';
import { mediaSourcesOf, type MediaFrom } from '../inference/media-sources.ts';
import { untilLoaded } from '../inference/until-loaded.ts';
import { heldUpBy, type HeldUp } from './held-up.ts';
import type { LineRecords } from './line-records.ts';

interface ReadyLine extends Item {
  readonly key: string;
  readonly tokens: number;
  readonly items: number;
}

/** What stands between a line and its call, where it costs money. */
export interface Payment {
  /** Resolves when what is paid for can be kept; null when it can. */
  ready(): Promise<void> | null;
}

/** Where a chunk's calls go. */
export interface LineRunner {
  readonly devices: Devices;
  readonly route: (model: string, kind: KindId) => Route;
  readonly media: MediaFrom;
}

/** @throws HeldUp when lines can't be run now; those that were answered are in `records`. */
export async function runLines(
  chunk: ClaimedChunk,
  lines: Iterable<Line>,
  records: LineRecords,
  on: LineRunner,
  signal: AbortSignal,
  log: Logger,
  payment: Payment | null = null,
): Promise<void> {
  const kindId = chunk.kind as KindId;
  const kind = kindOf(kindId);
  const route = on.route(chunk.model, kindId);
  await untilLoaded(route, signal);
  const { device, upstream, packing } = on.devices.of(route, kindId);
  upstream.askAnew();
  const inference: Inference = {
    kind,
    call: callOf(route, kindId),
    run: silentRun,
    media: mediaSourcesOf(chunk.workspaceId, on.media),
    signal,
    turn: () => turnFor(payment, () => device.batchTurn(chunk.batchId, chunk.index, signal), signal),
    upstream,
    packing,
    observe: ({ ms }) => records.observe(ms),
    log,
  };
  const held: { by: HeldUp | null } = { by: null };
  const isHeldUp = (failure: Failure) => {
    const by = heldUpBy(failure);
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
  await Promise.all(Array.from({ length: 2 * device.slots }, lane));
  if (held.by) throw held.by;
}

/** A turn that may be used at once: what can't be kept is not paid for, and nobody waits for that with a turn in hand. */
async function turnFor(
  payment: Payment | null,
  ask: () => Promise<Release>,
  signal: AbortSignal,
): Promise<Release> {
  for (;;) {
    const release = await ask();
    const ready = payment?.ready();
    if (!ready) return release;
    release();
    await ready;
    signal.throwIfAborted();
  }
}

/** Records every line as not run; the custom ids are all that is read. */
export function notRun(lines: Iterable<Line>, records: LineRecords, code: NotRunCode): void {
  const message = {
    batch_cancelled: 'This batch was cancelled before this line was run.',
    batch_expired: 'This batch expired before this line was run.',
    request_timeout: 'This line was not answered in time.',
    worker_crashed: 'The worker stopped each time this line was tried.',
  }[code];
  for (const line of lines) records.notRun(line.number, accepted(line).custom_id, code, message);
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
    shape ? JSON.stringify(shape.toAnswer(JSON.parse(json) as Record<string, unknown>, body)) : json;
  for (const line of lines) {
    if (records.isRestored(line.number)) continue;
    const { custom_id: customId, body } = accepted(line);
    const parsed = parse(body, kind, endpoint);
    if ('refused' in parsed) {
      const { message, param, code } = parsed.refused;
      records.failed(line.number, customId, 400, {
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
        return records.succeeded(line.number, customId, {
          ...answer,
          json: shownAt(withData(json, media), body),
        });
      }
      const { failure } = outcome;
      if (isHeldUp(failure)) return;
      records.failed(line.number, customId, failure.status, wireErrorOf(failure));
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
