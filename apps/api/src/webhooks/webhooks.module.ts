/** Webhook endpoints, their deliveries, and the job that sends them. */
import { Inject, Module, type OnModuleInit } from '@nestjs/common';
import { DeliveryLogStore, DeliveryStore, WebhookEndpointStore } from '#database';
import type { Bus } from '#realtime';
import type { Logger } from '#telemetry';
import { BackgroundJobs } from '../background/background-jobs.ts';
import { BackgroundModule } from '../background/background.module.ts';
import { InfrastructureModule } from '../infrastructure/infrastructure.module.ts';
import { provideStores, provideWith } from '../infrastructure/provide.ts';
import { BUS, LOGGER, WEBHOOK_TOOLS } from '../infrastructure/tokens.ts';
import { CREATE_WEBHOOK_ENDPOINT, createWebhookEndpointWith } from './create-webhook-endpoint.ts';
import { ROTATE_SECRET, rotateSecretWith } from './rotate-secret.ts';
import { startWebhookSender } from './send-deliveries.ts';
import { TEST_WEBHOOK_ENDPOINT, testWebhookEndpointWith } from './test-webhook-endpoint.ts';
import { UPDATE_WEBHOOK_ENDPOINT, updateWebhookEndpointWith } from './update-webhook-endpoint.ts';
import { WebhookDeliveriesController } from './webhook-deliveries.controller.ts';
import { WebhookEndpointsController } from './webhook-endpoints.controller.ts';
import type { WebhookTools } from './webhook-tools.ts';

const endpointDeps = { webhookEndpoints: WebhookEndpointStore, tools: WEBHOOK_TOOLS };

@Module({
  imports: [InfrastructureModule, BackgroundModule],
  controllers: [WebhookDeliveriesController, WebhookEndpointsController],
  providers: [
    ...provideStores(DeliveryLogStore, DeliveryStore, WebhookEndpointStore),
    provideWith(CREATE_WEBHOOK_ENDPOINT, createWebhookEndpointWith, endpointDeps),
    provideWith(UPDATE_WEBHOOK_ENDPOINT, updateWebhookEndpointWith, endpointDeps),
    provideWith(ROTATE_SECRET, rotateSecretWith, endpointDeps),
    provideWith(TEST_WEBHOOK_ENDPOINT, testWebhookEndpointWith, endpointDeps),
  ],
})
export class WebhooksModule implements OnModuleInit {
  constructor(
    @Inject(BackgroundJobs) private readonly jobs: BackgroundJobs,
    @Inject(DeliveryStore) private readonly deliveries: DeliveryStore,
    @Inject(WEBHOOK_TOOLS) private readonly tools: WebhookTools,
    @Inject(BUS) private readonly bus: Bus,
    @Inject(LOGGER) private readonly log: Logger,
  ) {}

  onModuleInit(): void {
    const { deliveries, tools, bus, log } = this;
    this.jobs.add(() => startWebhookSender({ deliveries, ...tools, bus, log }));
  }
}
