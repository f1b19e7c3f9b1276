/** Which models are to be held in memory: what was asked for outlives the workers that do it. */
import type { Database } from '../database.ts';
import { ModelWishRow } from '../entities/index.ts';

export class ModelWishStore {
  constructor(private readonly database: Database) {}

  /** Says that a model is to be loaded, or no longer. */
  async wish(model: string, isWanted: boolean): Promise<void> {
    await this.database.statement(
      `insert into model_wishes (model, is_wanted) values ($1, $2)
       on conflict (model) do update set is_wanted = excluded.is_wanted, changed_at = clock_timestamp()`,
      [model, isWanted],
    );
  }

  all(): Promise<ModelWishRow[]> {
    return this.database.asSystem((tx) => tx.getRepository(ModelWishRow).find({ order: { model: 'asc' } }));
  }
}
