/** One line of a batch's input, from bytes to a checked request. */
import { isUtf8 } from 'node:buffer';
import { batchLine, type BatchErrorCode, type BatchLine } from '@millrace/contracts';

export interface LineProblem {
  readonly code: BatchErrorCode;
  readonly message: string;
  readonly param: string | null;
}

export type ParsedLine = { line: BatchLine; problem: null } | { line: null; problem: LineProblem };

const bad = (code: BatchErrorCode, message: string, param: string | null = null): ParsedLine => ({
  line: null,
  problem: { code, message, param },
});

/** @param bytes the line without its end, or null where it was too long to hold. @param maxBytes for the message. */
export function parseLine(bytes: Buffer | null, maxBytes: number): ParsedLine {
  if (bytes === null) {
    return bad('line_too_long', `This line is longer than ${maxBytes} bytes, the longest that is accepted.`);
  }
  if (!isUtf8(bytes))
    return bad('invalid_json_line', 'This line is not valid UTF-8. Save the file as UTF-8.');
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    const hint = bytes.includes(13) ? ' It holds a bare CR: end lines with LF or CRLF.' : '';
    return bad('invalid_json_line', `This line is not valid JSON.${hint}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return bad('invalid_json_line', 'This line is not a JSON object.');
  }
  const parsed = batchLine.safeParse(value);
  if (parsed.success) return { line: parsed.data, problem: null };
  const issue = parsed.error.issues[0]!;
  const param = issue.path.join('.') || null;
  const missing = (value as Record<string, unknown>)[String(issue.path[0])] === undefined;
  const nested = issue.path[0] === 'body' && issue.path.length > 1;
  if (missing || nested) {
    return bad('missing_required_parameter', `'${param}' is missing or of the wrong type.`, param);
  }
  return bad('invalid_line', `'${param}': ${issue.message}.`, param);
}

/**
 * The same for a line that was checked before, at less than half the time. Its shape is looked at only as far as
 * the stored bytes could have been damaged since. @returns null where they were.
 */
export function parseCheckedLine(bytes: Buffer | null): BatchLine | null {
  if (bytes === null) return null;
  try {
    const line = JSON.parse(bytes.toString('utf8')) as Partial<BatchLine> | null;
    const isLine = typeof line?.custom_id === 'string' && typeof line.body === 'object' && line.body !== null;
    return isLine ? (line as BatchLine) : null;
  } catch {
    return null;
  }
}

/** Beginnings of UTF-16 files: a mark, or a brace with its zero byte before or behind it. */
const utf16 = [
  [0xff, 0xfe],
  [0xfe, 0xff],
  [0x7b, 0x00],
  [0x00, 0x7b],
];

/** Bytes of a UTF-8 byte order mark at the file's start: 0 or 3. */
export function getByteOrderMarkLength(head: Uint8Array): number {
  return head[0] === 0xef && head[1] === 0xbb && head[2] === 0xbf ? 3 : 0;
}

/** Whether the file begins as UTF-16 does; its lines would only say that they aren't UTF-8. */
export function isUtf16(head: Uint8Array): boolean {
  return utf16.some(([a, b]) => head[0] === a && head[1] === b);
}
