/** Batches: pause, retry of failed lines, speed, and the completion order of chunks. */
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class BatchLife1763610000000 implements MigrationInterface {
  readonly name = 'BatchLife1763610000000';

  async up(runner: QueryRunner): Promise<void> {
    // Constant defaults: Postgres rewrites no row, however large the table is.
    await runner.query(`
      alter table batches
        add column paused boolean not null default false,
        add column retry_of text references batches on delete set null,
        add column recent_rate double precision,
        add column rate_measured_at timestamptz;
      create index batches_retries on batches (retry_of) where retry_of is not null;
      alter table attempts add column done_as int`);
    await runner.query(numberEnds);
    await runner.query(
      'create unique index attempts_done on attempts (batch_id, done_as) where done_as is not null',
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      drop index attempts_done;
      alter table attempts drop column done_as;
      drop index batches_retries;
      alter table batches
        drop column rate_measured_at, drop column recent_rate, drop column retry_of, drop column paused`);
  }
}

/** Numbers the chunks that are done already in the order in which they ended. */
const numberEnds = `
  update attempts a
  set done_as = numbered.place
  from (
    select t.id, row_number() over (partition by t.batch_id order by t.finished_at, t.id) as place
    from attempts t
    join chunks c on c.batch_id = t.batch_id and c.index = t.chunk and c.attempt = t.number
    where c.status = 'done'
  ) numbered
  where a.id = numbered.id`;
