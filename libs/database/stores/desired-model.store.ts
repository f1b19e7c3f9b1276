/** Which models are to be held in memory: what was asked for outlives the workers that do it. */
import type { Database } from '../database.ts';
import { DesiredModelRow } from '../entities/index.ts';

export class DesiredModelStore {
  constructor(private readonly database: Database) {}

  /** Says that a model is to be loaded, or no longer. */
  async set(model: string, isWanted: boolean): Promise<void> {
    await this.database.rows(
      `insert into model_wishes (model, is_wanted) values ($1, $2)
       on conflict (model) do update set is_wanted = excluded.is_wanted, changed_at = clock_timestamp()`,
      [model, isWanted],
    );
  }

  list(): Promise<DesiredModelRow[]> {
    return this.database.asSystem((tx) =>
      tx.getRepository(DesiredModelRow).find({ order: { model: 'asc' } }),
    );
  }
}
