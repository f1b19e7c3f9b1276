/** A transaction with its scope set, as `Database.withWorkspace` and `asSystem` pass it to the stores. */
import type { EntityManager, EntityTarget, ObjectLiteral, QueryRunner, Repository } from 'typeorm';

export class Transaction {
  constructor(private readonly manager: EntityManager) {}

  /** @returns a statement's rows, whether it is a select or an insert, update or delete with `returning`. */
  async rows<Row>(sql: string, parameters: unknown[] = []): Promise<Row[]> {
    // Without the structured result, TypeORM returns `[rows, count]` for an update or delete, and rows for the rest.
    const { records } = await this.runner.query(sql, parameters, true);
    return records as Row[];
  }

  /** Runs an insert, update or delete. @returns the number of rows that it changed. */
  async execute(sql: string, parameters: unknown[] = []): Promise<number> {
    const { affected } = await this.runner.query(sql, parameters, true);
    return affected ?? 0;
  }

  repository<Entity extends ObjectLiteral>(entity: EntityTarget<Entity>): Repository<Entity> {
    return this.manager.getRepository(entity);
  }

  /** The transaction's connection: the manager of a transaction always has one. */
  private get runner(): QueryRunner {
    return this.manager.queryRunner!;
  }
}
