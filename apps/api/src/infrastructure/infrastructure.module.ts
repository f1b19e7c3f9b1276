/** What every feature uses: settings, logger, Postgres, queues, bus, object storage, providers. Closed after the last request. */
import { Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import { loadAppConfigOrExit, type AppConfig } from '#config';
import { Database } from '#database';
import { createLogger } from '#telemetry';
import { connectInfrastructure, type Infrastructure } from './connect.ts';
import { BUS, CONFIG, LOGGER, OBJECTS, PROVIDERS, QUEUES, WEBHOOK_TOOLS } from './tokens.ts';

const INFRASTRUCTURE = Symbol('infrastructure');

const resources = {
  database: Database,
  queues: QUEUES,
  bus: BUS,
  objects: OBJECTS,
  providers: PROVIDERS,
  webhookTools: WEBHOOK_TOOLS,
} as const satisfies Partial<Record<keyof Infrastructure, unknown>>;

@Module({
  providers: [
    { provide: CONFIG, useFactory: loadAppConfigOrExit },
    {
      provide: LOGGER,
      useFactory: (config: AppConfig) => createLogger('api', config.LOG_LEVEL),
      inject: [CONFIG],
    },
    { provide: INFRASTRUCTURE, useFactory: connectInfrastructure, inject: [CONFIG, LOGGER] },
    ...Object.entries(resources).map(([name, token]) => ({
      provide: token,
      useFactory: (infrastructure: Infrastructure) => infrastructure[name as keyof typeof resources],
      inject: [INFRASTRUCTURE],
    })),
  ],
  exports: [CONFIG, LOGGER, ...Object.values(resources)],
})
export class InfrastructureModule implements OnApplicationShutdown {
  constructor(@Inject(INFRASTRUCTURE) private readonly infrastructure: Infrastructure) {}

  async onApplicationShutdown(): Promise<void> {
    await this.infrastructure.close();
  }
}
