/** Invariants 1 and 3: each line has one record, in the right file, with its own answer. */
import type { Submitted } from '../deployment.ts';
import { contentOfSegments, contentOverHttp, readContent } from './file-content.ts';
import type { CheckContext } from './check-context.ts';
import { ProblemList } from './problem-list.ts';

/** Lines of a batch by outcome, counted from the records. */
export interface Tally {
  completed: number;
  failed: number;
  canceled: number;
  expired: number;
}

interface LineRecord {
  readonly id: string;
  readonly custom_id: string;
  readonly response: { status_code: number; body: { data?: { embedding: number[] }[] } } | null;
  readonly error: { code: string } | null;
}

export class Records {
  readonly onePerLine = new ProblemList('1 each accepted line has exactly one record');
  readonly answers = new ProblemList('1 each record has its own line’s answer');
  readonly ids = new ProblemList('3 no custom_id occurs twice, and each is one of the input’s');
  readonly files = new ProblemList(
    '3 output and error lines add up to the total, in the API and in the object storage',
  );
  lines = 0;
  vectors = 0;

  constructor(private readonly context: CheckContext) {}

  /** Reads both files of a batch. @returns the number of records for each outcome. */
  async read(batch: Submitted): Promise<Tally> {
    const tally: Tally = { completed: 0, failed: 0, canceled: 0, expired: 0 };
    const seen = new Uint8Array(batch.input.lines + 1);
    const row = await this.context.database.one<{
      output: string | null;
      error: string | null;
      total: number;
      accepted: boolean;
    }>(
      `select output_file_id as output, error_file_id as error, total, in_progress_at is not null as accepted
       from batches where id = $1`,
      [batch.id],
    );
    // A batch that was cancelled before its validation ended has accepted no line.
    const accepted = row.accepted ? batch.input.lines : 0;
    let lines = 0;
    for (const which of ['output', 'error'] as const) {
      const fileId = row[which];
      if (!fileId) continue;
      try {
        lines += await this.readFile(fileId, (line) =>
          this.checkRecord(JSON.parse(line) as LineRecord, which, batch, seen, tally),
        );
      } catch (error) {
        this.files.add(`the ${which} file of ${batch.id}: ${(error as Error).message}`);
      }
    }
    if (lines !== row.total || lines !== accepted) {
      this.files.add(
        `${batch.id}: ${lines} lines in its files, ${row.total} in its total, ${accepted} accepted`,
      );
    }
    for (let line = 1; line <= accepted; line++) {
      if (seen[line] !== 1) this.onePerLine.add(`line ${line} of ${batch.id} has ${seen[line]} records`);
    }
    this.lines += lines;
    return tally;
  }

  private async readFile(fileId: string, onLine: (line: string) => Promise<void>): Promise<number> {
    const served = await readContent(contentOverHttp(this.context, fileId), onLine);
    const stored = await readContent(contentOfSegments(this.context, fileId));
    if (served.sha256 !== stored.sha256 || served.lines !== stored.lines) {
      throw new Error(
        `the API returns ${served.bytes} bytes; the ${stored.bytes} bytes of its segments differ`,
      );
    }
    const row = await this.context.database.one<{ bytes: number; lines: number }>(
      'select bytes, lines from files where id = $1',
      [fileId],
    );
    if (row.bytes !== served.bytes || row.lines !== served.lines) {
      throw new Error(
        `its row says ${row.bytes} bytes and ${row.lines} lines; it has ${served.bytes} and ${served.lines}`,
      );
    }
    return served.lines;
  }

  private async checkRecord(
    record: LineRecord,
    which: 'output' | 'error',
    { id, input }: Submitted,
    seen: Uint8Array,
    tally: Tally,
  ): Promise<void> {
    const line = input.parseLineNumber(record.custom_id);
    if (line === null) return this.ids.add(`${record.custom_id} is not a custom_id of ${id}`);
    if (seen[line]! > 0) this.ids.add(`${record.custom_id} occurs twice in the files of ${id}`);
    if (seen[line]! < 255) seen[line]!++;
    const outcome = getOutcome(record);
    tally[outcome]++;
    if ((outcome === 'completed') !== (which === 'output')) {
      this.answers.add(`${record.custom_id} is ${outcome} but is in the ${which} file`);
    }
    if (outcome === 'completed') await this.checkVector(record, line, input);
    // A cancelled or expired line may be valid or invalid.
    else if (outcome === 'failed' && !input.isBad(line))
      this.answers.add(`${record.custom_id} is valid but failed`);
  }

  private async checkVector(record: LineRecord, line: number, input: Submitted['input']): Promise<void> {
    if (input.isBad(line)) return this.answers.add(`${record.custom_id} is invalid but succeeded`);
    const actual = record.response?.body.data?.[0]?.embedding;
    const expected = await input.vector(line);
    if (
      actual?.length !== expected.length ||
      !expected.every((value, at) => value === Math.fround(actual[at]!))
    ) {
      this.answers.add(`the vector of ${record.custom_id} is not the vector of its text`);
    }
    this.vectors++;
  }
}

function getOutcome({ response, error }: LineRecord): keyof Tally {
  if (response) return response.status_code === 200 ? 'completed' : 'failed';
  if (error?.code === 'batch_cancelled') return 'canceled';
  return error?.code === 'batch_expired' ? 'expired' : 'failed';
}
