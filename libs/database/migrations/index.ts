/**
 * All migrations, oldest first. A released migration is never changed, except for the names of its class and file. The
 * database records its `name`, so the `name` property of a released migration never changes.
 */
import type { MigrationInterface } from 'typeorm';
import { InitialSchema1763600000000 } from './1763600000000-initial-schema.ts';
import { BatchLife1763610000000 } from './1763610000000-batch-life.ts';
import { Dispatch1763620000000 } from './1763620000000-dispatch.ts';
import { Uploads1763630000000 } from './1763630000000-uploads.ts';
import { Durability1763640000000 } from './1763640000000-durability.ts';
import { Direct1763660000000 } from './1763660000000-direct.ts';
import { Webhooks1763670000000 } from './1763670000000-webhooks.ts';
import { Kinds1763680000000 } from './1763680000000-kinds.ts';
import { Priority1763685000000 } from './1763685000000-priority.ts';
import { Usage1763690000000 } from './1763690000000-usage.ts';
import { PauseReason1763700000000 } from './1763700000000-pause-reason.ts';
import { MetadataStatistics1763710000000 } from './1763710000000-metadata-statistics.ts';
import { PlainNames1763720000000 } from './1763720000000-plain-names.ts';
import { Lanes1763730000000 } from './1763730000000-lanes.ts';

export const migrations: readonly (new () => MigrationInterface & { readonly name: string })[] = [
  InitialSchema1763600000000,
  BatchLife1763610000000,
  Dispatch1763620000000,
  Uploads1763630000000,
  Durability1763640000000,
  Direct1763660000000,
  Webhooks1763670000000,
  Kinds1763680000000,
  Priority1763685000000,
  Usage1763690000000,
  PauseReason1763700000000,
  MetadataStatistics1763710000000,
  PlainNames1763720000000,
  Lanes1763730000000,
];

/** The names that the database records, in the order of the migrations. */
export const migrationNames: readonly string[] = migrations.map((Migration) => new Migration().name);
