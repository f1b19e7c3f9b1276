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
} from '#contracts';
import { EndpointStore, type Caller } from '#database';
import { CallerOf } from '../access/api-key.guard.ts';
import { WEBHOOKS } from '../tokens.ts';
import { knownId } from '../wire/known-id.pipe.ts';
import {
  createEndpoint,
  rotateSecret,
  testEndpoint,
  updateEndpoint,
  type Webhooks,
} from './manage-endpoints.ts';
import { toEndpointObject } from './webhook-objects.ts';

@Controller('v1')
export class EndpointsController {
  constructor(
    @Inject(EndpointStore) private readonly endpoints: EndpointStore,
    @Inject(WEBHOOKS) private readonly tools: Webhooks,
  ) {}

  @Get('webhook_event_types')
  eventTypes(): { object: 'list'; data: readonly string[] } {
    return { object: 'list', data: webhookEventTypes };
  }

  @Post('webhook_endpoints')
  @HttpCode(200)
  async create(
    @CallerOf() { workspaceId }: Caller,
    @Body({ schema: createEndpointBody }) body: CreateEndpointBody,
  ): Promise<WebhookEndpointObject> {
    const { endpoint, secret } = await createEndpoint(workspaceId, body, this.endpoints, this.tools);
    return toEndpointObject(endpoint, secret);
  }

  @Get('webhook_endpoints')
  async list(
    @CallerOf() { workspaceId }: Caller,
    @Query({ schema: endpointListQuery }) page: PageQuery,
  ): Promise<Page<WebhookEndpointObject>> {
    const rows = await this.endpoints.list(workspaceId, page);
    return toPage(
      rows.map((row) => toEndpointObject(row)),
      page.limit,
    );
  }

  @Get('webhook_endpoints/:id')
  async get(
    @CallerOf() { workspaceId }: Caller,
    @Param('id', knownId('endpoint')) id: string,
  ): Promise<WebhookEndpointObject> {
    return toEndpointObject(await this.endpoints.get(workspaceId, id));
  }

  @Post('webhook_endpoints/:id')
  @HttpCode(200)
  async update(
    @CallerOf() { workspaceId }: Caller,
    @Param('id', knownId('endpoint')) id: string,
    @Body({ schema: updateEndpointBody }) body: UpdateEndpointBody = {},
  ): Promise<WebhookEndpointObject> {
    return toEndpointObject(await updateEndpoint(workspaceId, id, body, this.endpoints, this.tools));
  }

  @Delete('webhook_endpoints/:id')
  async delete(@CallerOf() { workspaceId }: Caller, @Param('id', knownId('endpoint')) id: string) {
    await this.endpoints.delete(workspaceId, id);
    return { id, object: 'webhook_endpoint.deleted', deleted: true };
  }

  @Post('webhook_endpoints/:id/rotate_secret')
  @HttpCode(200)
  async rotate(
    @CallerOf() { workspaceId }: Caller,
    @Param('id', knownId('endpoint')) id: string,
    @Body({ schema: rotateSecretBody }) body: RotateSecretBody,
  ): Promise<WebhookEndpointObject> {
    const keepOld = body?.keep_old_secret_active_for_24_hours ?? false;
    const { endpoint, secret } = await rotateSecret(workspaceId, id, keepOld, this.endpoints, this.tools);
    return toEndpointObject(endpoint, secret);
  }

  @Post('webhook_endpoints/:id/test')
  @HttpCode(200)
  async test(
    @CallerOf() { workspaceId }: Caller,
    @Param('id', knownId('endpoint')) id: string,
    @Body({ schema: testEndpointBody }) { event_type }: TestEndpointBody,
  ) {
    const status_code = await testEndpoint(workspaceId, id, event_type, this.endpoints, this.tools);
    return {
      object: 'webhook_endpoint.test',
      webhook_endpoint_id: id,
      event_type,
      status_code,
      success: true,
    };
  }
}
