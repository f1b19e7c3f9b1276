import * as attempts from './attempts.ts';
import * as batches from './batches.ts';
import * as feed from './feed.ts';
import * as files from './files.ts';
import * as maintenance from './maintenance.ts';
import * as tasks from './tasks.ts';
import * as tenants from './tenants.ts';
import * as usage from './usage.ts';
import * as webhooks from './webhooks.ts';
import * as workers from './workers.ts';

/** All entities. A test fails if a table has none. */
export const entities = [
  tenants,
  files,
  tasks,
  batches,
  attempts,
  workers,
  feed,
  webhooks,
  maintenance,
  usage,
].flatMap((module) => Object.values<new () => object>(module));

export * from './attempts.ts';
export * from './batches.ts';
export * from './feed.ts';
export * from './files.ts';
export * from './maintenance.ts';
export * from './tasks.ts';
export * from './tenants.ts';
export * from './usage.ts';
export * from './webhooks.ts';
export * from './workers.ts';
