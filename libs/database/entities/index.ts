import * as feed from './feed.ts';
import * as files from './files.ts';
import * as tenants from './tenants.ts';
import * as upkeep from './maintenance.ts';
import * as usage from './usage.ts';
import * as webhooks from './webhooks.ts';
import * as work from './work.ts';

/** Every entity; a table without one here is a mistake that a test catches. */
export const entities = [tenants, files, work, feed, webhooks, upkeep, usage].flatMap((module) =>
  Object.values<new () => object>(module),
);

export * from './feed.ts';
export * from './files.ts';
export * from './tenants.ts';
export * from './maintenance.ts';
export * from './usage.ts';
export * from './webhooks.ts';
export * from './work.ts';
