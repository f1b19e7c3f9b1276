/** The desired state of models in memory. Workers reconcile their loaded models with it. */
import type { Database } from '../database.ts';
import { DesiredModelRow } from '../entities/index.ts';

export class DesiredModelStore {
  constructor(private readonly database: Database) {}

  /** Sets whether a model should be loaded. */
  async set(model: string, isDesired: boolean): Promise<void> {
    await this.database.rows(
      `insert into desired_models (model, is_desired) values ($1, $2)
       on conflict (model) do update set is_desired = excluded.is_desired, changed_at = clock_timestamp()`,
      [model, isDesired],
    );
  }

  list(): Promise<DesiredModelRow[]> {
    return this.database.asSystem((transaction) =>
      transaction.repository(DesiredModelRow).find({ order: { model: 'asc' } }),
    );
  }
}
