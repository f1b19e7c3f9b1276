/** Workers that are alive, as they say themselves every few seconds. */
import type { DeviceState, HeldModelState, RunningWork } from '@millrace/contracts';
import type { Database, Transaction } from '../database.ts';
import { WorkerRow } from '../entities/index.ts';

export interface WorkerIdentity {
  readonly id: string;
  readonly pools: readonly string[];
  readonly slots: number;
  readonly host: string;
  readonly pid: number;
  readonly version: string;
}

/** What changes from beat to beat. */
export interface WorkerState {
  readonly consuming: boolean;
  readonly memoryBytes: number;
  readonly running: readonly RunningWork[];
  readonly models: readonly HeldModelState[];
  readonly device: DeviceState | null;
}

export type AliveWorker = WorkerRow;

export interface WorkerSnapshot {
  /** By the clock that their beats are written with. */
  readonly takenAt: Date;
  readonly workers: readonly AliveWorker[];
}

export class WorkerStore {
  constructor(private readonly database: Database) {}

  /**
   * Says that a worker is alive, whether it takes work and what it has in hand.
   * @returns batches it works on that were cancelled or have expired: a broadcast may have been missed.
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

  /** Oldest first. @param withinS seconds since the last beat. */
  listAlive(withinS: number): Promise<AliveWorker[]> {
    return this.database.asSystem((tx) => loadSeen(tx, withinS));
  }

  /** The same, and when it was so: a later look has a later time. */
  getSnapshot(withinS: number): Promise<WorkerSnapshot> {
    return this.database.asSystem(async (tx) => {
      const [clock] = await tx.query<{ at: Date }[]>('select clock_timestamp() as at');
      return { takenAt: clock!.at, workers: await loadSeen(tx, withinS) };
    });
  }

  /** Forgets workers that died without leaving. */
  async deleteExpired(afterS: number): Promise<void> {
    await this.database.rows(
      'delete from workers where seen_at < clock_timestamp() - make_interval(secs => $1)',
      [afterS],
    );
  }
}

const loadSeen = (tx: Transaction, withinS: number): Promise<AliveWorker[]> =>
  tx
    .getRepository(WorkerRow)
    .createQueryBuilder('worker')
    .where('worker.seen_at > clock_timestamp() - make_interval(secs => :withinS)', { withinS })
    .orderBy({ 'worker.startedAt': 'ASC', 'worker.id': 'ASC' })
    .getMany();
