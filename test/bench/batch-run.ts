/** Runs one batch from create to `completed` and measures its time, CPU and memory. */
import { openAsBlob } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { terminalStatuses } from '../support/platform.ts';
import type { Deployment } from './deployment.ts';
import { cpuSeconds, resetPeakRss, peakRss, rss } from './process-usage.ts';

export interface ProcessCost {
  readonly name: string;
  readonly cpuSeconds: number;
  /** null for Postgres. */
  readonly peakRssMb: number | null;
  /** Growth of its memory with the number of completed lines, in MiB per million lines. */
  readonly slopeMbPerMillion: number | null;
  /** Mean memory during each tenth of the lines, in MiB; null for a tenth without a sample. */
  readonly rssMb: readonly (number | null)[];
}

export interface BatchRun {
  readonly batchId: string;
  readonly outputFileId: string;
  readonly lines: number;
  readonly seconds: number;
  /** Part of `seconds` until the end of the plan. */
  readonly planSeconds: number;
  readonly processes: readonly ProcessCost[];
}

const defaultPollMs = 100;

export async function uploadFile({ client }: Deployment, path: string): Promise<string> {
  const file = new File([await openAsBlob(path)], 'input.jsonl');
  const { id } = await client.files.create({ file, purpose: 'batch' });
  return id;
}

/** @param pollEveryMs precision of the measured time; each poll is a request to the measured processes. */
export async function runBatch(
  deps: Deployment,
  fileId: string,
  lines: number,
  pollEveryMs = defaultPollMs,
): Promise<BatchRun> {
  const { client } = deps;
  // Postgres has several processes, which share memory.
  const processes = deps.processes.map((process) => ({ ...process, family: process.name === 'postgres' }));
  const before = processes.map(({ pid, family }) => cpuSeconds(pid, family));
  for (const { pid, family } of processes) if (!family) resetPeakRss(pid);
  const curves = processes.map(() => new MemoryCurve(lines));
  const began = performance.now();
  let plannedAt = 0;
  const created = await client.batches.create({
    input_file_id: fileId,
    endpoint: '/v1/embeddings',
    completion_window: '24h',
  });
  for (;;) {
    const batch = await client.batches.retrieve(created.id);
    if (plannedAt === 0 && batch.status !== 'validating') plannedAt = performance.now();
    const done = batch.request_counts?.completed ?? 0;
    curves.forEach((curve, at) => curve.add(done, rss(processes[at]!.pid)));
    if (batch.status === 'completed') {
      const seconds = (performance.now() - began) / 1_000;
      return {
        batchId: batch.id,
        outputFileId: batch.output_file_id!,
        lines,
        seconds,
        planSeconds: (plannedAt - began) / 1_000,
        processes: processes.map(({ name, pid, family }, at) => ({
          name,
          cpuSeconds: cpuSeconds(pid, family) - before[at]!,
          peakRssMb: family ? null : peakRss(pid),
          slopeMbPerMillion: family ? null : curves[at]!.slope() * 1e6,
          rssMb: family ? [] : curves[at]!.tenths(),
        })),
      };
    }
    if (terminalStatuses.includes(batch.status)) {
      throw new Error(`the batch ended as ${batch.status}: ${JSON.stringify(batch.errors)}`);
    }
    await sleep(pollEveryMs);
  }
}

/** Memory of a process by number of completed lines. */
class MemoryCurve {
  private readonly points: [x: number, y: number][] = [];

  constructor(private readonly lines: number) {}

  add(x: number, y: number): void {
    this.points.push([x, y]);
  }

  tenths(): (number | null)[] {
    return Array.from({ length: 10 }, (_, tenth) => {
      const inside = this.points.filter(([x]) => Math.min(9, Math.floor((x / this.lines) * 10)) === tenth);
      return inside.length === 0 ? null : mean(inside, 1);
    });
  }

  /** Slope of the least-squares line, without the first fifth, in which the heap grows to its size. */
  slope(): number {
    const points = this.points.filter(([x]) => x > this.lines / 5);
    const [meanX, meanY] = [mean(points, 0), mean(points, 1)];
    let products = 0;
    let squares = 0;
    for (const [x, y] of points) {
      products += (x - meanX) * (y - meanY);
      squares += (x - meanX) ** 2;
    }
    return squares === 0 ? 0 : products / squares;
  }
}

const mean = (points: readonly [number, number][], at: 0 | 1): number =>
  points.reduce((sum, point) => sum + point[at], 0) / points.length;
