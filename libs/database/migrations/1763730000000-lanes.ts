import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Fair queues by lane (pool and provider) instead of by pool, and the patience of a task's caller. */
export class Lanes1763730000000 implements MigrationInterface {
  readonly name = 'Lanes1763730000000';

  async up(runner: QueryRunner): Promise<void> {
    // The tags only order work that waits now.
    await runner.query('delete from fair_queue_tags');
    await runner.query('alter table fair_queue_tags rename column pool to lane');
    await runner.query('alter table tasks add column patience_ms int');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('alter table tasks drop column patience_ms');
    await runner.query('delete from fair_queue_tags');
    await runner.query('alter table fair_queue_tags rename column lane to pool');
  }
}
