/**
 * Sends the commit of an attempt that lost its chunk, as if the killed worker had sent it just before it died. It uses the
 * product's own statement, with stored records, after another attempt has claimed the chunk. It must change nothing.
 */
import { Database, ChunkStore, type ChunkResult } from '#database';
import type { Check } from './fault.ts';
import type { InterruptedChunk } from './interrupted-chunks.ts';
import type { Deployment } from './deployment.ts';
import { removeFence } from './remove-fence.ts';

export class LateCommits {
  sent = 0;
  /** Commits that changed a row. */
  accepted = 0;
  private readonly handled = new Set<InterruptedChunk>();

  private constructor(
    private readonly deployment: Deployment,
    private readonly database: Database,
  ) {}

  static async open(deployment: Deployment): Promise<LateCommits> {
    const { databaseUrl: url } = deployment.platform;
    const database = await Database.connect({ url, poolMax: 1, applicationName: 'millrace-chaos-late' });
    return new LateCommits(deployment, database);
  }

  /** Sends one commit for each chunk that another attempt has claimed since. */
  async send(interrupted: readonly InterruptedChunk[]): Promise<void> {
    for (const chunk of interrupted) {
      if (this.handled.has(chunk) || chunk.resumedAfterMs === null) continue;
      this.handled.add(chunk);
      const { batchId, chunk: index, attempt } = chunk;
      this.sent++;
      if (await this.chunks().commit({ batchId, index, attempt }, await this.records(chunk))) this.accepted++;
    }
  }

  toCheck(): Check {
    return {
      name: 'a late commit of a lost attempt changes nothing',
      holds: this.sent > 0 && this.accepted === 0,
      found: `${this.sent} sent, ${this.accepted} accepted`,
    };
  }

  async close(): Promise<void> {
    await this.database.close();
  }

  private chunks(): ChunkStore {
    if (!this.deployment.options.withoutFence) return new ChunkStore(this.database);
    const { database } = this;
    const prepared = ({ text }: { text: string }, values?: unknown[]) =>
      database.rows(removeFence(text), values);
    return new ChunkStore({ prepared } as unknown as Database);
  }

  /** The records that the lost attempt would have stored: one for each line of the chunk. */
  private async records({ batchId, chunk, attempt }: InterruptedChunk): Promise<ChunkResult> {
    const { lines, firstLine, workspaceId } = await this.deployment.database.one<{
      lines: number;
      firstLine: number;
      workspaceId: string;
    }>(
      `select lines, first_line as "firstLine", workspace_id as "workspaceId" from chunks where batch_id = $1 and index = $2`,
      [batchId, chunk],
    );
    const { input } = this.deployment.submitted.find(({ id }) => id === batchId)!;
    const record = (line: number) =>
      `${JSON.stringify({ id: 'void', custom_id: input.customId(line), response: { status_code: 200, body: {} }, error: null })}\n`;
    const text = Array.from({ length: lines }, (_, at) => record(firstLine + at)).join('');
    const key = `${workspaceId}/batches/${batchId}/${chunk}-${attempt}.output.jsonl`;
    await this.deployment.platform.objects.write(key, text);
    const output = { key, bytes: Buffer.byteLength(text) };
    const none = {
      failed: 0,
      canceled: 0,
      expired: 0,
      inputTokens: 0,
      outputTokens: 0,
      providerMs: 0,
      storeMs: 0,
    };
    const metering = {
      ...{
        token: null,
        inputBytes: null,
        outputBytes: output.bytes,
        firstTokenMs: null,
        images: 0,
        mediaMs: 0,
      },
      ...{ reportedCost: null, reportedRequests: 0, estimatedCost: null },
    };
    const counts = { latencyHistogram: {}, errorCodes: {} };
    return { ...none, ...counts, completed: lines, output, errors: null, metering };
  }
}
