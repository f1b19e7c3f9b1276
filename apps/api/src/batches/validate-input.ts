/** `?validate=strict`: the plan's own check of every line, made before the batch is, and answered instead of it. */
import { buffer } from 'node:stream/consumers';
import type { KindId } from '#catalogue';
import type { FileStore, NewFile } from '#database';
import { checkInput, InvalidInput, InvalidLines, NotFound, type InputFile, type LineIndex } from '#domain';
import type { Providers } from '#providers';
import { readSegments, type ObjectStore, type Segment } from '#storage';

export interface ValidateInputDeps {
  readonly files: FileStore;
  readonly objects: ObjectStore;
  readonly providers: Providers;
  readonly lineMaxBytes: number;
  readonly batchMaxLines: number;
  readonly signal: AbortSignal;
}

/** A request waits for as many lines; more are for the plan alone. */
const strictMaxLines = 50_000;

/** @param input a stored file's id, or a file that has no row yet. @throws InvalidLines, InvalidInput, NotFound */
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
      `validate=strict is for files of up to ${strictMaxLines} lines; this one has ${file.lines}. Leave it out.`,
      { code: 'too_long_for_strict', param: 'validate' },
    );
  }
  const rules = {
    endpoint,
    lineMaxBytes: deps.lineMaxBytes,
    maxLines: deps.batchMaxLines,
    route(model: string) {
      const { provider } = deps.providers.route(model, kind);
      return { provider: provider.id, pool: provider.pool };
    },
  };
  const verdict = await checkInput(file, rules, null);
  if (verdict && verdict.errors.length > 0) throw new InvalidLines(verdict.errors);
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
    const details = { code: 'file_not_found', param: 'input_file_id' };
    throw new NotFound('No such file. Upload it with purpose=batch first.', details);
  });
  const segments = await deps.files.listSegments(workspaceId, input);
  return buildInputFile(lines, await deps.files.getLineIndex(workspaceId, input), segments, deps);
}

function buildInputFile(
  lines: number,
  lineIndex: LineIndex,
  segments: readonly Segment[],
  { objects, signal }: ValidateInputDeps,
): InputFile {
  return {
    lines,
    lineIndex,
    head: () => buffer(readSegments(objects, segments, { start: 0, end: 3, signal })),
    read: (start) => readSegments(objects, segments, { start, signal }) as AsyncIterable<Buffer>,
  };
}
