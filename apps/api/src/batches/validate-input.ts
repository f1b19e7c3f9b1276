/** `?validate=strict`: runs the plan's check of every line before the batch is created, and answers with its errors. */
import { buffer } from 'node:stream/consumers';
import type { KindId } from '#catalogue';
import type { FileStore, NewFile } from '#database';
import { checkInput, InvalidInput, InvalidLines, NotFound, type InputFile, type LineIndex } from '#domain';
import type { Providers } from '#providers';
import { readSegments, type ObjectStorage, type Segment } from '#storage';
import type { BatchLimits } from './batch-limits.ts';

export interface ValidateInputDeps extends BatchLimits {
  readonly files: FileStore;
  readonly objects: ObjectStorage;
  readonly providers: Providers;
  readonly signal: AbortSignal;
}

/** The client waits for the check. Larger files are checked by the plan only. */
const strictMaxLines = 50_000;

/** @param input id of a stored file, or a file without a row yet. @throws InvalidLines, InvalidInput, NotFound */
export async function validateInput(
  workspaceId: string,
  input: string | NewFile,
  endpoint: string,
  kind: KindId,
  deps: ValidateInputDeps,
): Promise<void> {
  const file = await findInputFile(workspaceId, input, deps);
  if (file.lines > strictMaxLines) {
    throw new InvalidInput(
      `validate=strict accepts files of up to ${strictMaxLines} lines; this file has ${file.lines}. Create the batch without it.`,
      { code: 'too_many_lines_for_strict', param: 'validate' },
    );
  }
  const rules = {
    endpoint,
    lineMaxBytes: deps.lineMaxBytes,
    maxLines: deps.batchMaxLines,
    route(model: string) {
      const { provider } = deps.providers.route(model, kind, { workspaceId });
      return { provider: provider.id, pool: provider.pool };
    },
  };
  const checked = await checkInput(file, rules, null);
  if (checked && checked.errors.length > 0) throw new InvalidLines(checked.errors);
}

async function findInputFile(
  workspaceId: string,
  input: string | NewFile,
  deps: ValidateInputDeps,
): Promise<InputFile> {
  if (typeof input !== 'string') {
    const [segment] = input.segments;
    const lineIndex = segment?.lineIndex ? [{ line: 0, offset: 0, entries: segment.lineIndex }] : [];
    return buildInputFile(segment!.lines, lineIndex, input.segments, deps);
  }
  const { lines } = await deps.files.get(workspaceId, input).catch((error: unknown) => {
    if (!(error instanceof NotFound)) throw error;
    const details = { code: 'file_not_found', param: 'input_file_id' } as const;
    throw new NotFound('No such file. Upload it with purpose=batch first.', details);
  });
  const segments = await deps.files.listSegments(workspaceId, input);
  return buildInputFile(lines, await deps.files.getLineIndex(workspaceId, input), segments, deps);
}

/** Enough to detect a byte order mark. */
const headBytes = 4;

function buildInputFile(
  lines: number,
  lineIndex: LineIndex,
  segments: readonly Segment[],
  { objects, signal }: ValidateInputDeps,
): InputFile {
  return {
    lines,
    lineIndex,
    head: () => buffer(readSegments(objects, segments, { start: 0, end: headBytes - 1, signal })),
    read: (start) => readSegments(objects, segments, { start, signal }) as AsyncIterable<Buffer>,
  };
}
