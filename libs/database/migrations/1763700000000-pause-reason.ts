/** Why Millrace paused a batch; null if its owner did. */
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class PauseReason1763700000000 implements MigrationInterface {
  readonly name = 'HeldBack1763700000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('alter table batches add column pause_reason text');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('alter table batches drop column pause_reason');
  }
}
