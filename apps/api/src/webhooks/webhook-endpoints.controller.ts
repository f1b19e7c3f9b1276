/** `/v1/webhook_endpoints`, as the `openai` package (7.19 and later) calls it. */
import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Post, Query } from '@nestjs/common';
import {
  createEndpointBody,
  endpointListQuery,
  rotateSecretBody,
  testEndpointBody,
  toPage,
  updateEndpointBody,
  webhookEventTypes,
  type CreateEndpointBody,
  type Page,
  type PageQuery,
  type RotateSecretBody,
  type TestEndpointBody,
  type UpdateEndpointBody,
  type WebhookEndpointObject,
} from '@millrace/contracts';
import { EndpointStore, type Caller } from '#database';
import { CurrentCaller } from '../access/access.guard.ts';
import { WEBHOOK_TOOLS } from '../infrastructure/tokens.ts';
import { resourceId } from '../http/resource-id.pipe.ts';
import {
  createWebhookEndpoint,
  rotateSecret,
  testWebhookEndpoint,
  updateWebhookEndpoint,
  type WebhookTools,
} from './manage-webhook-endpoints.ts';
import { toWebhookEndpointObject } from './webhook-objects.ts';

@Controller('v1')
export class WebhookEndpointsController {
  constructor(
    @Inject(EndpointStore) private readonly endpoints: EndpointStore,
    @Inject(WEBHOOK_TOOLS) private readonly tools: WebhookTools,
  ) {}

  @Get('webhook_event_types')
  eventTypes(): { object: 'list'; data: readonly string[] } {
    return { object: 'list', data: webhookEventTypes };
  }

  @Post('webhook_endpoints')
  @HttpCode(200)
  async create(
    @CurrentCaller() { workspaceId }: Caller,
    @Body({ schema: createEndpointBody }) body: CreateEndpointBody,
  ): Promise<WebhookEndpointObject> {
    const { endpoint, secret } = await createWebhookEndpoint(workspaceId, body, this.endpoints, this.tools);
    return toWebhookEndpointObject(endpoint, secret);
  }

  @Get('webhook_endpoints')
  async list(
    @CurrentCaller() { workspaceId }: Caller,
    @Query({ schema: endpointListQuery }) page: PageQuery,
  ): Promise<Page<WebhookEndpointObject>> {
    const rows = await this.endpoints.list(workspaceId, page);
    return toPage(
      rows.map((row) => toWebhookEndpointObject(row)),
      page.limit,
    );
  }

  @Get('webhook_endpoints/:id')
  async get(
    @CurrentCaller() { workspaceId }: Caller,
    @Param('id', resourceId('endpoint')) id: string,
  ): Promise<WebhookEndpointObject> {
    return toWebhookEndpointObject(await this.endpoints.get(workspaceId, id));
  }

  @Post('webhook_endpoints/:id')
  @HttpCode(200)
  async update(
    @CurrentCaller() { workspaceId }: Caller,
    @Param('id', resourceId('endpoint')) id: string,
    @Body({ schema: updateEndpointBody }) body: UpdateEndpointBody = {},
  ): Promise<WebhookEndpointObject> {
    return toWebhookEndpointObject(
      await updateWebhookEndpoint(workspaceId, id, body, this.endpoints, this.tools),
    );
  }

  @Delete('webhook_endpoints/:id')
  async delete(@CurrentCaller() { workspaceId }: Caller, @Param('id', resourceId('endpoint')) id: string) {
    await this.endpoints.delete(workspaceId, id);
    return { id, object: 'webhook_endpoint.deleted', deleted: true };
  }

  @Post('webhook_endpoints/:id/rotate_secret')
  @HttpCode(200)
  async rotate(
    @CurrentCaller() { workspaceId }: Caller,
    @Param('id', resourceId('endpoint')) id: string,
    @Body({ schema: rotateSecretBody }) body: RotateSecretBody,
  ): Promise<WebhookEndpointObject> {
    const keepOld = body?.keep_old_secret_active_for_24_hours ?? false;
    const { endpoint, secret } = await rotateSecret(workspaceId, id, keepOld, this.endpoints, this.tools);
    return toWebhookEndpointObject(endpoint, secret);
  }

  @Post('webhook_endpoints/:id/test')
  @HttpCode(200)
  async test(
    @CurrentCaller() { workspaceId }: Caller,
    @Param('id', resourceId('endpoint')) id: string,
    @Body({ schema: testEndpointBody }) { event_type }: TestEndpointBody,
  ) {
    const status_code = await testWebhookEndpoint(workspaceId, id, event_type, this.endpoints, this.tools);
    return {
      object: 'webhook_endpoint.test',
      webhook_endpoint_id: id,
      event_type,
      status_code,
      success: true,
    };
  }
}
