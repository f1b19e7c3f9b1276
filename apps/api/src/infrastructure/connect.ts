/** Connects the resources that all features share, and closes them. */
import { buildModelOptions, buildProviderOptions, buildObjectStorageOptions, type AppConfig } from '#config';
import { Database } from '#database';
import { parseAllowedHosts, createOutbound } from '#outbound';
import { createProviders, type Providers } from '#providers';
import { assertQueueBackendUsable, connectQueues, type Queues } from '#queues';
import { connectBus, type Bus } from '#realtime';
import { createObjectStorage, type ObjectStorage } from '#storage';
import type { Logger } from '#telemetry';
import { createSealer } from '#webhooks';
import type { WebhookTools } from '../webhooks/webhook-tools.ts';

export interface Infrastructure {
  readonly database: Database;
  readonly queues: Queues;
  readonly bus: Bus;
  readonly objects: ObjectStorage;
  readonly webhookTools: WebhookTools;
  /** Tells which models and kinds are served. This process loads no model. */
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
  await assertQueueBackendUsable(backend);
  const bus = await connectBus(backend, { log });
  const queues = connectQueues({ backend: { ...backend, poolMax: 2 }, log });
  const objects = await createObjectStorage(buildObjectStorageOptions(config));
  const outbound = createOutbound({
    schemes: ['https'],
    ports: [443],
    allowHosts: parseAllowedHosts(config.MILLRACE_WEBHOOK_ALLOW_HOSTS),
    allowSetting: 'MILLRACE_WEBHOOK_ALLOW_HOSTS',
  });
  const webhookTools = { outbound, sealer: createSealer(config.MILLRACE_SECRET) };
  return {
    database,
    queues,
    bus,
    objects,
    webhookTools,
    providers: createProviders({ ...buildModelOptions(config), ...buildProviderOptions(config) }),
    async close() {
      await Promise.allSettled([outbound.close(), bus.close(), queues.close(), objects.close()]);
      await database.close();
    },
  };
}
