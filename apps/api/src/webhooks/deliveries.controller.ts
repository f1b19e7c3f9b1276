/** `/v1/webhook_endpoints/{id}/…`: the log of an endpoint's deliveries, and what to do when some did not arrive. */
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
} from '#contracts';
import { DeliveryLogStore, type Caller } from '#database';
import type { Bus } from '#realtime';
import { CallerOf } from '../access/api-key.guard.ts';
import { BUS } from '../tokens.ts';
import { knownId } from '../wire/known-id.pipe.ts';
import { toDeliveryObject, toDeliveryWithAttempts } from './webhook-objects.ts';

@Controller('v1/webhook_endpoints/:id')
export class DeliveriesController {
  constructor(
    @Inject(DeliveryLogStore) private readonly deliveries: DeliveryLogStore,
    @Inject(BUS) private readonly bus: Bus,
  ) {}

  @Get('deliveries')
  async list(
    @CallerOf() { workspaceId }: Caller,
    @Param('id', knownId('endpoint')) id: string,
    @Query({ schema: deliveryListQuery }) query: DeliveryListQuery,
  ): Promise<Page<DeliveryObject>> {
    const rows = await this.deliveries.list(workspaceId, id, query);
    return toPage(rows.map(toDeliveryObject), query.limit);
  }

  @Get('deliveries/:delivery')
  async get(
    @CallerOf() { workspaceId }: Caller,
    @Param('id', knownId('endpoint')) id: string,
    @Param('delivery', knownId('delivery')) delivery: string,
  ): Promise<DeliveryWithAttempts> {
    const found = await this.deliveries.get(workspaceId, id, delivery);
    return toDeliveryWithAttempts(found.delivery, found.attempts);
  }

  @Post('deliveries/:delivery/redeliver')
  @HttpCode(200)
  async redeliver(
    @CallerOf() { workspaceId }: Caller,
    @Param('id', knownId('endpoint')) id: string,
    @Param('delivery', knownId('delivery')) delivery: string,
  ): Promise<DeliveryObject> {
    const again = await this.deliveries.redeliver(workspaceId, id, delivery);
    this.due();
    return toDeliveryObject(again);
  }

  @Post('redeliver_failed')
  @HttpCode(200)
  async redeliverFailed(
    @CallerOf() { workspaceId }: Caller,
    @Param('id', knownId('endpoint')) id: string,
    @Body({ schema: redeliverFailedBody }) body: RedeliverFailedBody,
  ) {
    const count = await this.deliveries.redeliverFailed(workspaceId, id, body);
    this.due();
    return { object: 'webhook_endpoint.redelivery', count };
  }

  @Post('replay')
  @HttpCode(200)
  async replay(
    @CallerOf() { workspaceId }: Caller,
    @Param('id', knownId('endpoint')) id: string,
    @Body({ schema: replayBody }) body: ReplayBody,
  ): Promise<ReplayObject> {
    const { count, hasMore, lastEventId, isTruncated } = await this.deliveries.replay(workspaceId, id, body);
    this.due();
    return {
      object: 'webhook_endpoint.replay',
      count,
      has_more: hasMore,
      last_event_id: lastEventId,
      is_truncated: isTruncated,
    };
  }

  private due(): void {
    void this.bus.announce('deliveries.due', {});
  }
}
