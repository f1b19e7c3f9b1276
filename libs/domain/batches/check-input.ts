/** A batch's input, read once from end to end: accepted as a whole, or refused with the lines that are wrong. */
import type { BatchError, BatchErrorCode, BatchLine } from '@millrace/contracts';
import { getByteOrderMarkLength, isUtf16 } from '../lines/parse-line.ts';
import { splitLines, type Line } from '../lines/split-lines.ts';
import { LineChecker, type InputFile, type LineRules, type LineRoute } from './line-checker.ts';

export interface InputRules extends LineRules {
  readonly maxLines: number;
}

export interface AcceptedInput extends LineRoute {
  readonly model: string;
  readonly total: number;
}

/** Either what was accepted, or the errors that stand against it. */
export type InputCheckResult =
  | { readonly accepted: AcceptedInput; readonly errors: readonly [] }
  | { readonly accepted: null; readonly errors: readonly BatchError[] };

export interface InputReader {
  /** Called once, before the first good line: its model is the batch's. */
  onModel(model: string): Promise<void>;
  /** A good line, in the order of the file. */
  onLine(line: Line, request: BatchLine): void;
  /** Called between blocks of lines while none was wrong. @returns false to stop reading. */
  shouldContinue(): Promise<boolean>;
}

const rejected = (...errors: BatchError[]): InputCheckResult => ({ accepted: null, errors });

/** The verdict on a file that is wrong as a whole. */
export const rejectFile = (code: BatchErrorCode, message: string): InputCheckResult =>
  rejected({ code, message, line: null, param: null });

const emptyFile = () => rejectFile('empty_file', 'The input file has no lines.');

const utf16: BatchError = {
  code: 'invalid_json_line',
  message: 'The input file is UTF-16. Save it as UTF-8.',
  line: 1,
  param: null,
};

/** @returns null where the reader stopped it. */
export async function checkInput(
  file: InputFile,
  rules: InputRules,
  reader: InputReader | null,
): Promise<InputCheckResult | null> {
  if (file.lines === 0) return emptyFile();
  if (file.lines > rules.maxLines) {
    const message = `The input file has ${file.lines} lines; a batch may have ${rules.maxLines}. Split it.`;
    return rejectFile('too_many_tasks', message);
  }
  const head = await file.head();
  if (isUtf16(head)) return rejected(utf16);
  const start = getByteOrderMarkLength(head);
  const checker = new LineChecker(rules, file);
  for await (const lines of splitLines(file.read(start), { maxBytes: rules.lineMaxBytes, start })) {
    for (const line of lines) {
      const checked = checker.check(line);
      const request = checked instanceof Promise ? await checked : checked;
      if (request && checker.acceptedLines === 1) await reader?.onModel(request.body.model);
      if (request) reader?.onLine(line, request);
      if (checker.isFull) return rejected(...checker.errors);
    }
    // Once a line is wrong the rest is only read for more of the same.
    if (reader && checker.errors.length === 0 && !(await reader.shouldContinue())) return null;
  }
  if (checker.errors.length > 0) return rejected(...checker.errors);
  return checker.acceptedLines === 0 ? emptyFile() : { accepted: checker.getAccepted(), errors: [] };
}
