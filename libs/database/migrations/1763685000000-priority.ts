/** The priority of a batch among the batches of its workspace. */
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Priority1763685000000 implements MigrationInterface {
  readonly name = 'Priority1763685000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('alter table batches add column priority int not null default 0');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('alter table batches drop column priority');
  }
}
