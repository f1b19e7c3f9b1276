/** What the API stands on, connected before Nest starts and closed after it has stopped. */
import { modelOptions, providerOptions, storeOptions, type AppConfig } from '#config';
import { Database } from '#database';
import { allowedHosts, createOutbound } from '#outbound';
import { createProviders, type Providers } from '#providers';
import { connectQueues, type Queues } from '#queues';
import { connectBus, type Bus } from '#realtime';
import { createStore, type ObjectStore } from '#storage';
import type { Logger } from '#telemetry';
import { createSealer } from '#webhooks';
import type { WebhookTools } from '../webhooks/manage-webhook-endpoints.ts';

export interface Infrastructure {
  readonly config: AppConfig;
  readonly log: Logger;
  readonly database: Database;
  readonly queues: Queues;
  readonly bus: Bus;
  readonly objects: ObjectStore;
  readonly webhookTools: WebhookTools;
  /** For what they serve alone: no model is loaded in this process. */
  readonly providers: Providers;
  close(): Promise<void>;
}

export async function connectInfrastructure(config: AppConfig, log: Logger): Promise<Infrastructure> {
  const url = config.DATABASE_URL;
  const database = await Database.connect({
    url,
    poolMax: config.DATABASE_POOL,
    applicationName: 'millrace-api',
  });
  const backend = { kind: config.queueBackend, url: config.REDIS_URL ?? url };
  const bus = await connectBus(backend, { log });
  const queues = connectQueues({ backend: { ...backend, poolMax: 2 }, log });
  const objects = await createStore(storeOptions(config));
  const outbound = createOutbound({
    schemes: ['https'],
    ports: [443],
    allowHosts: allowedHosts(config.MILLRACE_WEBHOOK_ALLOW_HOSTS),
  });
  const webhookTools = { outbound, sealer: createSealer(config.MILLRACE_SECRET) };
  return {
    config,
    log,
    database,
    queues,
    bus,
    objects,
    webhookTools,
    providers: createProviders({ ...modelOptions(config), ...providerOptions(config) }),
    async close() {
      await Promise.allSettled([outbound.close(), bus.close(), queues.close(), objects.close()]);
      await database.close();
    },
  };
}
