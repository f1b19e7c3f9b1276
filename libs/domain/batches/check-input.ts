/** Reads a batch's input once, from start to end, and either accepts the whole file or lists the invalid lines. */
import type { BatchError, BatchErrorCode, BatchLine } from '@millrace/contracts';
import { explainNotJsonLines } from '../lines/explain-file.ts';
import { getByteOrderMarkLength, isUtf16 } from '../lines/parse-line.ts';
import { splitLines, type Line } from '../lines/split-lines.ts';
import { LineChecker, type InputFile, type LineRoute, type LineRules } from './line-checker.ts';

export interface InputRules extends LineRules {
  readonly maxLines: number;
}

export interface AcceptedInput extends LineRoute {
  readonly model: string;
  readonly total: number;
}

export type InputCheckResult =
  | { readonly accepted: AcceptedInput; readonly errors: readonly [] }
  | { readonly accepted: null; readonly errors: readonly BatchError[] };

export interface InputReader {
  /** Called once, before the first valid line. Its model is the model of the batch. */
  onModel(model: string): Promise<void>;
  /** Called for each valid line, in file order. */
  onLine(line: Line, request: BatchLine): void;
  /** Called between blocks of lines, until a line is invalid. @returns false to stop reading. */
  shouldContinue(): Promise<boolean>;
}

const reject = (...errors: BatchError[]): InputCheckResult => ({ accepted: null, errors });

/** Rejects the file as a whole, with no line number. */
export const rejectFile = (code: BatchErrorCode, message: string): InputCheckResult =>
  reject({ code, message, line: null, param: null });

const rejectEmptyFile = () => rejectFile('empty_file', 'The input file has no lines.');

const utf16Error: BatchError = {
  code: 'invalid_json_line',
  message: 'The input file is UTF-16. Save it as UTF-8.',
  line: 1,
  param: null,
};

/** @returns null when `shouldContinue` stopped the reading. */
export async function checkInput(
  file: InputFile,
  rules: InputRules,
  reader: InputReader | null,
): Promise<InputCheckResult | null> {
  if (file.lines === 0) return rejectEmptyFile();
  if (file.lines > rules.maxLines) {
    const message = `The input file has ${file.lines} lines. A batch can have at most ${rules.maxLines}. Split the file.`;
    return rejectFile('too_many_tasks', message);
  }
  const head = await file.head();
  if (isUtf16(head)) return reject(utf16Error);
  const start = getByteOrderMarkLength(head);
  const checker = new LineChecker(rules, file);
  for await (const lines of splitLines(file.read(start), { maxBytes: rules.lineMaxBytes, start })) {
    for (const line of lines) {
      const checked = checker.check(line);
      const request = checked instanceof Promise ? await checked : checked;
      if (!request && checker.acceptedLines === 0 && checker.errors.length === 1) {
        const reason = line.bytes && explainNotJsonLines(line.bytes.toString('utf8'));
        if (reason)
          return reject({ code: 'invalid_json_line', message: reason, line: line.number, param: null });
      }
      if (request && checker.acceptedLines === 1) await reader?.onModel(request.body.model);
      if (request) reader?.onLine(line, request);
      if (checker.isFull) return reject(...checker.errors);
    }
    // After the first invalid line, the rest is read only to collect more errors.
    if (reader && checker.errors.length === 0 && !(await reader.shouldContinue())) return null;
  }
  if (checker.errors.length > 0) return reject(...checker.errors);
  return checker.acceptedLines === 0 ? rejectEmptyFile() : { accepted: checker.getAccepted(), errors: [] };
}
