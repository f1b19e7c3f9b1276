import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * A hundredth is the least that the usual statistics can say of a value of `metadata` that they happen to hold: tasks with
 * it would then be looked for by going through all of them.
 */
export class MetadataStatistics1763710000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('alter table tasks alter column metadata set statistics 1000');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('alter table tasks alter column metadata set statistics -1');
  }
}
