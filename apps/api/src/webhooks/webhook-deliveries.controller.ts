/** `/v1/webhook_endpoints/{id}/…`: the log of a webhook endpoint's deliveries, and sending them again. */
import { Body, Controller, Get, HttpCode, Inject, Param, Post, Query } from '@nestjs/common';
import {
  deliveryListQuery,
  redeliverFailedBody,
  replayBody,
  toPage,
  type DeliveryListQuery,
  type DeliveryObject,
  type DeliveryWithAttempts,
  type Page,
  type RedeliverFailedBody,
  type ReplayBody,
  type ReplayObject,
} from '@millrace/contracts';
import { DeliveryLogStore } from '#database';
import { CurrentCaller, Requires } from '../access/decorators.ts';
import type { Caller } from '../access/caller.ts';
import { resourceId } from '../http/resource-id.pipe.ts';
import { REDELIVER, type Redeliver } from './redeliver.ts';
import { toDeliveryObject, toDeliveryWithAttempts } from './webhook-objects.ts';

@Controller('v1/webhook_endpoints/:id')
export class WebhookDeliveriesController {
  constructor(
    @Inject(DeliveryLogStore) private readonly deliveries: DeliveryLogStore,
    @Inject(REDELIVER) private readonly redeliverDeliveries: Redeliver,
  ) {}

  @Get('deliveries')
  @Requires('webhooks:read')
  async list(
    @CurrentCaller() { workspaceId }: Caller,
    @Param('id', resourceId('webhookEndpoint')) id: string,
    @Query({ schema: deliveryListQuery }) query: DeliveryListQuery,
  ): Promise<Page<DeliveryObject>> {
    const rows = await this.deliveries.list(workspaceId, id, query);
    return toPage(rows.map(toDeliveryObject), query.limit);
  }

  @Get('deliveries/:delivery')
  @Requires('webhooks:read')
  async get(
    @CurrentCaller() { workspaceId }: Caller,
    @Param('id', resourceId('webhookEndpoint')) id: string,
    @Param('delivery', resourceId('delivery')) delivery: string,
  ): Promise<DeliveryWithAttempts> {
    const found = await this.deliveries.get(workspaceId, id, delivery);
    return toDeliveryWithAttempts(found.delivery, found.attempts);
  }

  @Post('deliveries/:delivery/redeliver')
  @Requires('webhooks:write')
  @HttpCode(200)
  async redeliver(
    @CurrentCaller() { workspaceId }: Caller,
    @Param('id', resourceId('webhookEndpoint')) id: string,
    @Param('delivery', resourceId('delivery')) delivery: string,
  ): Promise<DeliveryObject> {
    return toDeliveryObject(await this.redeliverDeliveries.one(workspaceId, id, delivery));
  }

  @Post('redeliver_failed')
  @Requires('webhooks:write')
  @HttpCode(200)
  async redeliverFailed(
    @CurrentCaller() { workspaceId }: Caller,
    @Param('id', resourceId('webhookEndpoint')) id: string,
    @Body({ schema: redeliverFailedBody }) body: RedeliverFailedBody,
  ) {
    const count = await this.redeliverDeliveries.failed(workspaceId, id, body);
    return { object: 'webhook_endpoint.redelivery', count };
  }

  @Post('replay')
  @Requires('webhooks:write')
  @HttpCode(200)
  async replay(
    @CurrentCaller() { workspaceId }: Caller,
    @Param('id', resourceId('webhookEndpoint')) id: string,
    @Body({ schema: replayBody }) body: ReplayBody,
  ): Promise<ReplayObject> {
    const replayed = await this.redeliverDeliveries.replay(workspaceId, id, body);
    const { count, hasMore, lastEventId, isTruncated } = replayed;
    return {
      object: 'webhook_endpoint.replay',
      count,
      has_more: hasMore,
      last_event_id: lastEventId,
      is_truncated: isTruncated,
    };
  }
}
