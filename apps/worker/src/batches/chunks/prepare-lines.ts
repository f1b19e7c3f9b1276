/** Prepares a chunk's lines for their calls: parses each body by its kind, and records the result when it arrives. */
import { getPacking, parseKindBody, type Kind } from '#catalogue';
import { explainIssues, type BatchLine } from '@millrace/contracts';
import {
  describeUnrepresentable,
  findUnrepresentable,
  InvalidInput,
  parseCheckedLine,
  type Failure,
  type Line,
} from '#domain';
import { findEndpoint, parseLineBody, toLineResponse } from '#openai-endpoints';
import { toWireError } from '../../inference/infer-failures.ts';
import type { InferItem, Outcome } from '../../inference/infer.ts';
import { embedMediaData } from '../../inference/store-media.ts';
import type { LineRecords } from './line-records.ts';

export interface PreparedLine extends InferItem {
  readonly key: string;
  readonly tokens: number;
  readonly items: number;
}

export interface PrepareLinesOptions {
  readonly kind: Kind;
  /** The batch's endpoint, e.g. `/v1/embeddings`. */
  readonly endpoint: string;
  readonly records: LineRecords;
  /** @returns true for a failure that stops the chunk: the line then gets no record and runs again later. */
  readonly holdsChunk: (failure: Failure) => boolean;
}

/** Yields the lines to call. A line whose body breaks the rules of its kind is recorded as failed with 400 instead. */
export function* prepareLines(lines: Iterable<Line>, options: PrepareLinesOptions): Generator<PreparedLine> {
  const { kind, endpoint, records, holdsChunk } = options;
  const packing = getPacking(kind);
  for (const line of lines) {
    if (records.isRestored(line.number)) continue;
    const { custom_id: customId, body } = parsePlannedLine(line);
    const parsed = parseBody(body, kind, endpoint);
    if ('problem' in parsed) {
      const { message, param, code } = parsed.problem;
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
        const responseJson = toLineResponse(embedMediaData(json, media), body, endpoint);
        return records.addSuccess(line.number, customId, { ...answer, json: responseJson });
      }
      const { failure } = outcome;
      if (holdsChunk(failure)) return;
      records.addFailure(line.number, customId, failure.status, toWireError(failure));
    };
    yield { body: parsed.data, settle, key: packing.getKey(parsed.data), tokens, items };
  }
}

/** @throws InvalidInput when the line is not the one that the plan has checked. */
export function parsePlannedLine(line: Line): BatchLine {
  const parsed = parseCheckedLine(line.bytes);
  if (!parsed) {
    throw new InvalidInput(`Line ${line.number} has changed since the batch was planned.`, {
      code: 'input_file_damaged',
    });
  }
  return parsed;
}

type BodyProblem = Pick<InvalidInput, 'message' | 'param' | 'code'>;

function parseBody(
  body: BatchLine['body'],
  kind: Kind,
  endpoint: string,
): { data: unknown } | { problem: BodyProblem } {
  const tooLarge = findUnrepresentable(body);
  if (tooLarge) {
    const message = describeUnrepresentable(tooLarge);
    return { problem: { message, param: tooLarge.join('.'), code: 'invalid_request' } };
  }
  let kindBody: unknown;
  try {
    kindBody = parseLineBody(body, kind.id, endpoint);
  } catch (error) {
    if (error instanceof InvalidInput) return { problem: error };
    throw error;
  }
  const parsed = parseKindBody(kind, kindBody);
  if (parsed.success) return parsed;
  const { fieldNames = {} } = findEndpoint(endpoint) ?? {};
  const { param, message } = explainIssues(parsed.error.issues, { fieldNames });
  return { problem: { message, param: param || null, code: 'invalid_request' } };
}
