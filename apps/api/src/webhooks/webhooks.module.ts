/** Webhook endpoints, their deliveries, the job that sends them and the one that deletes expired ones. */
import { Inject, Module, type OnModuleInit } from '@nestjs/common';
import { DeliveryLogStore, DeliveryStore, RetentionStore, WebhookEndpointStore } from '#database';
import { BackgroundJobs, type RunningJob } from '../background/background-jobs.ts';
import { BackgroundModule } from '../background/background.module.ts';
import { InfrastructureModule } from '../infrastructure/infrastructure.module.ts';
import { provideOptions, provideStores, provideWith } from '../infrastructure/provide.ts';
import { BUS, LOGGER, WEBHOOK_TOOLS } from '../infrastructure/tokens.ts';
import { CREATE_WEBHOOK_ENDPOINT, createWebhookEndpointWith } from './create-webhook-endpoint.ts';
import { deleteExpiredDeliveries } from './delete-expired-deliveries.ts';
import { REDELIVER, redeliverWith } from './redeliver.ts';
import { ROTATE_SECRET, rotateSecretWith } from './rotate-secret.ts';
import { startWebhookSender, type WebhookSenderOptions } from './send-deliveries.ts';
import { TEST_WEBHOOK_ENDPOINT, testWebhookEndpointWith } from './test-webhook-endpoint.ts';
import { UPDATE_WEBHOOK_ENDPOINT, updateWebhookEndpointWith } from './update-webhook-endpoint.ts';
import { WebhookDeliveriesController } from './webhook-deliveries.controller.ts';
import { WebhookEndpointsController } from './webhook-endpoints.controller.ts';
import type { WebhookTools } from './webhook-tools.ts';

const START_WEBHOOK_SENDER = Symbol('start webhook sender');
/** Days for which deliveries are kept after their end. */
const DELIVERY_DAYS = Symbol('delivery days');

const endpointDeps = { webhookEndpoints: WebhookEndpointStore, tools: WEBHOOK_TOOLS };

type SenderDeps = Pick<WebhookSenderOptions, 'deliveries' | 'bus' | 'log'> & { readonly tools: WebhookTools };

const startWebhookSenderWith =
  ({ tools, ...deps }: SenderDeps) =>
  () =>
    startWebhookSender({ ...tools, ...deps });

@Module({
  imports: [InfrastructureModule, BackgroundModule],
  controllers: [WebhookDeliveriesController, WebhookEndpointsController],
  providers: [
    ...provideStores(DeliveryLogStore, DeliveryStore, RetentionStore, WebhookEndpointStore),
    provideOptions(DELIVERY_DAYS, (config) => config.WEBHOOK_LOG_DAYS),
    provideWith(CREATE_WEBHOOK_ENDPOINT, createWebhookEndpointWith, endpointDeps),
    provideWith(UPDATE_WEBHOOK_ENDPOINT, updateWebhookEndpointWith, endpointDeps),
    provideWith(ROTATE_SECRET, rotateSecretWith, endpointDeps),
    provideWith(TEST_WEBHOOK_ENDPOINT, testWebhookEndpointWith, endpointDeps),
    provideWith(REDELIVER, redeliverWith, { deliveries: DeliveryLogStore, bus: BUS }),
    provideWith(START_WEBHOOK_SENDER, startWebhookSenderWith, {
      deliveries: DeliveryStore,
      tools: WEBHOOK_TOOLS,
      bus: BUS,
      log: LOGGER,
    }),
  ],
})
export class WebhooksModule implements OnModuleInit {
  constructor(
    @Inject(BackgroundJobs) private readonly jobs: BackgroundJobs,
    @Inject(START_WEBHOOK_SENDER) private readonly startSender: () => RunningJob,
    @Inject(RetentionStore) private readonly retention: RetentionStore,
    @Inject(DELIVERY_DAYS) private readonly deliveryDays: number,
  ) {}

  onModuleInit(): void {
    const { jobs, retention, deliveryDays } = this;
    jobs.add(this.startSender);
    jobs.addRetentionStep({
      rows: 'deliveries',
      run: () => deleteExpiredDeliveries(retention, deliveryDays),
    });
  }
}
