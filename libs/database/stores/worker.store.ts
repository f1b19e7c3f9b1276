/** Workers that are alive. Each sends a heartbeat every few seconds. */
import type { WorkerHardware, HostedModelState, RunningWork } from '@millrace/contracts';
import type { Database } from '../database.ts';
import { WorkerRow } from '../entities/index.ts';
import type { Transaction } from '../transaction.ts';

export interface WorkerIdentity {
  readonly id: string;
  readonly pools: readonly string[];
  readonly slots: number;
  readonly host: string;
  readonly pid: number;
  readonly version: string;
}

/** What changes between heartbeats. */
export interface WorkerState {
  readonly consuming: boolean;
  readonly memoryBytes: number;
  readonly running: readonly RunningWork[];
  readonly models: readonly HostedModelState[];
  readonly device: WorkerHardware | null;
}

export type AliveWorker = WorkerRow;

export interface WorkerSnapshot {
  /** By the database's clock, which also sets the times of the heartbeats. */
  readonly takenAt: Date;
  readonly workers: readonly AliveWorker[];
}

export class WorkerStore {
  constructor(private readonly database: Database) {}

  /**
   * Records a worker's heartbeat and state.
   * @returns ids of closing batches whose chunks it runs: it may have missed the message about them.
   */
  async recordHeartbeat(worker: WorkerIdentity, state: WorkerState): Promise<string[]> {
    const { consuming, memoryBytes, running, models, device } = state;
    await this.database.rows(
      `insert into workers
         (id, pools, slots, host, pid, version, consuming, memory_bytes, running, models, device)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
       on conflict (id) do update
       set seen_at = clock_timestamp(), consuming = excluded.consuming, memory_bytes = excluded.memory_bytes,
         running = excluded.running, models = excluded.models, device = excluded.device`,
      [
        worker.id,
        worker.pools,
        worker.slots,
        worker.host,
        worker.pid,
        worker.version,
        consuming,
        memoryBytes,
        JSON.stringify(running),
        JSON.stringify(models),
        device && JSON.stringify(device),
      ],
    );
    const rows = await this.database.rows<{ id: string }>(
      `select distinct b.id from chunks c join batches b on b.id = c.batch_id
       where c.worker_id = $1 and c.status = 'running' and b.closing is not null`,
      [worker.id],
    );
    return rows.map(({ id }) => id);
  }

  async remove(id: string): Promise<void> {
    await this.database.rows('delete from workers where id = $1', [id]);
  }

  /** @returns workers, oldest first. @param withinS seconds since the last heartbeat. */
  listAlive(withinS: number): Promise<AliveWorker[]> {
    return this.database.asSystem((transaction) => loadAlive(transaction, withinS));
  }

  /** @returns the same, with its time: a later snapshot has a later time. */
  getSnapshot(withinS: number): Promise<WorkerSnapshot> {
    return this.database.asSystem(async (transaction) => {
      const [clock] = await transaction.rows<{ at: Date }>('select clock_timestamp() as at');
      return { takenAt: clock!.at, workers: await loadAlive(transaction, withinS) };
    });
  }

  /** Deletes workers that crashed and so did not remove themselves. @param afterS seconds since the last heartbeat. */
  async deleteExpired(afterS: number): Promise<void> {
    await this.database.rows(
      'delete from workers where seen_at < clock_timestamp() - make_interval(secs => $1)',
      [afterS],
    );
  }
}

const loadAlive = (transaction: Transaction, withinS: number): Promise<AliveWorker[]> =>
  transaction
    .repository(WorkerRow)
    .createQueryBuilder('worker')
    .where('worker.seen_at > clock_timestamp() - make_interval(secs => :withinS)', { withinS })
    .orderBy({ 'worker.startedAt': 'ASC', 'worker.id': 'ASC' })
    .getMany();
