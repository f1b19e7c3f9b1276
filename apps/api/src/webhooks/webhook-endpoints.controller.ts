/** `/v1/webhook_endpoints`, as the `openai` package (7.19 and later) calls it. */
import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Post, Query } from '@nestjs/common';
import {
  createWebhookEndpointBody,
  webhookEndpointListQuery,
  rotateSecretBody,
  testWebhookEndpointBody,
  toPage,
  updateWebhookEndpointBody,
  webhookEventTypes,
  type CreateWebhookEndpointBody,
  type Page,
  type PageQuery,
  type RotateSecretBody,
  type TestWebhookEndpointBody,
  type UpdateWebhookEndpointBody,
  type WebhookEndpointObject,
} from '@millrace/contracts';
import { WebhookEndpointStore } from '#database';
import type { Caller } from '../access/caller.ts';
import { CurrentCaller, Requires } from '../access/decorators.ts';
import { resourceId } from '../http/resource-id.pipe.ts';
import { CREATE_WEBHOOK_ENDPOINT, type CreateWebhookEndpoint } from './create-webhook-endpoint.ts';
import { ROTATE_SECRET, type RotateSecret } from './rotate-secret.ts';
import { TEST_WEBHOOK_ENDPOINT, type TestWebhookEndpoint } from './test-webhook-endpoint.ts';
import { UPDATE_WEBHOOK_ENDPOINT, type UpdateWebhookEndpoint } from './update-webhook-endpoint.ts';
import { toWebhookEndpointObject } from './webhook-objects.ts';

@Controller('v1')
export class WebhookEndpointsController {
  constructor(
    @Inject(WebhookEndpointStore) private readonly webhookEndpoints: WebhookEndpointStore,
    @Inject(CREATE_WEBHOOK_ENDPOINT) private readonly createWebhookEndpoint: CreateWebhookEndpoint,
    @Inject(UPDATE_WEBHOOK_ENDPOINT) private readonly updateWebhookEndpoint: UpdateWebhookEndpoint,
    @Inject(ROTATE_SECRET) private readonly rotateSecret: RotateSecret,
    @Inject(TEST_WEBHOOK_ENDPOINT) private readonly testWebhookEndpoint: TestWebhookEndpoint,
  ) {}

  @Get('webhook_event_types')
  @Requires('webhooks:read')
  eventTypes(): { object: 'list'; data: readonly string[] } {
    return { object: 'list', data: webhookEventTypes };
  }

  @Post('webhook_endpoints')
  @Requires('webhooks:write')
  @HttpCode(200)
  async create(
    @CurrentCaller() { workspaceId }: Caller,
    @Body({ schema: createWebhookEndpointBody }) body: CreateWebhookEndpointBody,
  ): Promise<WebhookEndpointObject> {
    const { webhookEndpoint, secret } = await this.createWebhookEndpoint(workspaceId, body);
    return toWebhookEndpointObject(webhookEndpoint, secret);
  }

  @Get('webhook_endpoints')
  @Requires('webhooks:read')
  async list(
    @CurrentCaller() { workspaceId }: Caller,
    @Query({ schema: webhookEndpointListQuery }) page: PageQuery,
  ): Promise<Page<WebhookEndpointObject>> {
    const rows = await this.webhookEndpoints.list(workspaceId, page);
    return toPage(
      rows.map((row) => toWebhookEndpointObject(row)),
      page.limit,
    );
  }

  @Get('webhook_endpoints/:id')
  @Requires('webhooks:read')
  async get(
    @CurrentCaller() { workspaceId }: Caller,
    @Param('id', resourceId('webhookEndpoint')) id: string,
  ): Promise<WebhookEndpointObject> {
    return toWebhookEndpointObject(await this.webhookEndpoints.get(workspaceId, id));
  }

  @Post('webhook_endpoints/:id')
  @Requires('webhooks:write')
  @HttpCode(200)
  async update(
    @CurrentCaller() { workspaceId }: Caller,
    @Param('id', resourceId('webhookEndpoint')) id: string,
    @Body({ schema: updateWebhookEndpointBody }) body: UpdateWebhookEndpointBody = {},
  ): Promise<WebhookEndpointObject> {
    return toWebhookEndpointObject(await this.updateWebhookEndpoint(workspaceId, id, body));
  }

  @Delete('webhook_endpoints/:id')
  @Requires('webhooks:write')
  async delete(
    @CurrentCaller() { workspaceId }: Caller,
    @Param('id', resourceId('webhookEndpoint')) id: string,
  ) {
    await this.webhookEndpoints.delete(workspaceId, id);
    return { id, object: 'webhook_endpoint.deleted', deleted: true };
  }

  @Post('webhook_endpoints/:id/rotate_secret')
  @Requires('webhooks:write')
  @HttpCode(200)
  async rotate(
    @CurrentCaller() { workspaceId }: Caller,
    @Param('id', resourceId('webhookEndpoint')) id: string,
    @Body({ schema: rotateSecretBody }) body: RotateSecretBody,
  ): Promise<WebhookEndpointObject> {
    const keepOld = body?.keep_old_secret_active_for_24_hours ?? false;
    const { webhookEndpoint, secret } = await this.rotateSecret(workspaceId, id, keepOld);
    return toWebhookEndpointObject(webhookEndpoint, secret);
  }

  @Post('webhook_endpoints/:id/test')
  @Requires('webhooks:write')
  @HttpCode(200)
  async test(
    @CurrentCaller() { workspaceId }: Caller,
    @Param('id', resourceId('webhookEndpoint')) id: string,
    @Body({ schema: testWebhookEndpointBody }) { event_type }: TestWebhookEndpointBody,
  ) {
    const status_code = await this.testWebhookEndpoint(workspaceId, id, event_type);
    return {
      object: 'webhook_endpoint.test',
      webhook_endpoint_id: id,
      event_type,
      status_code,
      success: true,
    };
  }
}
