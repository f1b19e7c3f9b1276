import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * With the default statistics target, the planner estimates that a sampled `metadata` value matches at least 1 % of all
 * tasks, and scans the table instead of the index.
 */
export class MetadataStatistics1763710000000 implements MigrationInterface {
  readonly name = 'MetadataStatistics1763710000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('alter table tasks alter column metadata set statistics 1000');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('alter table tasks alter column metadata set statistics -1');
  }
}
