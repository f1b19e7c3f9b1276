/**
 * The commit that a dead worker had on the wire when it died: sent on its behalf once another attempt holds the
 * chunk, through the product's own statement, with records that are in the store already. It must change nothing.
 */
import { Database, ChunkStore, type ChunkResult } from '#database';
import type { Check } from './fault.ts';
import type { Loss } from './losses.ts';
import type { Scene } from './scene.ts';
import { unfenced } from './unfenced.ts';

export class LateCommits {
  sent = 0;
  /** Those that changed a row. */
  taken = 0;
  private readonly done = new Set<Loss>();

  private constructor(
    private readonly scene: Scene,
    private readonly database: Database,
  ) {}

  static async open(scene: Scene): Promise<LateCommits> {
    const { databaseUrl: url } = scene.platform;
    const database = await Database.connect({ url, poolMax: 1, applicationName: 'millrace-chaos-late' });
    return new LateCommits(scene, database);
  }

  /** Sends those whose chunk another attempt has claimed, each once. */
  async send(losses: readonly Loss[]): Promise<void> {
    for (const loss of losses) {
      if (this.done.has(loss) || loss.resumedAfterMs === null) continue;
      this.done.add(loss);
      const { batchId, chunk: index, attempt } = loss;
      this.sent++;
      if (await this.chunks().commit({ batchId, index, attempt }, await this.records(loss))) this.taken++;
    }
  }

  toCheck(): Check {
    return {
      name: 'a late commit of a lost attempt changes nothing',
      holds: this.sent > 0 && this.taken === 0,
      found: `${this.sent} sent, ${this.taken} taken`,
    };
  }

  async close(): Promise<void> {
    await this.database.close();
  }

  private chunks(): ChunkStore {
    if (!this.scene.options.withoutFence) return new ChunkStore(this.database);
    const { database } = this;
    const prepared = ({ text }: { text: string }, values?: unknown[]) =>
      database.rows(unfenced(text), values);
    return new ChunkStore({ prepared } as unknown as Database);
  }

  /** What the dead worker would have stored: a record for each of the chunk's lines. */
  private async records({ batchId, chunk, attempt }: Loss): Promise<ChunkResult> {
    const { lines, firstLine, workspaceId } = await this.scene.truth.one<{
      lines: number;
      firstLine: number;
      workspaceId: string;
    }>(
      `select lines, first_line as "firstLine", workspace_id as "workspaceId" from chunks where batch_id = $1 and index = $2`,
      [batchId, chunk],
    );
    const { input } = this.scene.submitted.find(({ id }) => id === batchId)!;
    const record = (line: number) =>
      `${JSON.stringify({ id: 'void', custom_id: input.customId(line), response: { status_code: 200, body: {} }, error: null })}\n`;
    const text = Array.from({ length: lines }, (_, at) => record(firstLine + at)).join('');
    const key = `${workspaceId}/batches/${batchId}/${chunk}-${attempt}.output.jsonl`;
    await this.scene.platform.objects.write(key, text);
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
