/** Webhook endpoints as their owner sees them. Secrets are sealed before they come here, and never opened here. */
import { IsNull, LessThan, MoreThan } from 'typeorm';
import type { PageQuery } from '@millrace/contracts';
import { Conflict } from '#domain';
import type { Database } from '../database.ts';
import { WebhookEndpointRow } from '../entities/index.ts';
import {
  failPendingDeliveries,
  failStrayDeliveries,
  insertWebhookEndpoint,
  loadWebhookEndpoint,
  webhookEndpointNotFound,
  type NewWebhookEndpoint,
  type WebhookEndpointSettings,
} from '../transactions/webhook-endpoints.ts';

/** An endpoint that is disabled already keeps its time and its reason. */
const disabling = {
  disabledAt: () => 'coalesce(disabled_at, clock_timestamp())',
  disabledReason: () => `coalesce(disabled_reason, 'request')`,
};

/** Enabling an endpoint resets its breaker; an endpoint that is enabled already keeps it. */
const resetIfDisabled = (column: string, value: string) => () =>
  `case when disabled_at is null then ${column} else ${value} end`;
const enabling = {
  disabledAt: null,
  disabledReason: null,
  consecutiveFailures: resetIfDisabled('consecutive_failures', '0'),
  failingSince: resetIfDisabled('failing_since', 'null'),
  lastFailedAt: resetIfDisabled('last_failed_at', 'null'),
  pausedUntil: resetIfDisabled('paused_until', 'null'),
};

/** Maximum number of endpoints per workspace, without those of single batches and tasks. */
const maxWebhookEndpoints = 100;

export class WebhookEndpointStore {
  constructor(private readonly database: Database) {}

  /** @throws Conflict if the workspace has the maximum number of endpoints. */
  create(workspaceId: string, webhookEndpoint: NewWebhookEndpoint): Promise<WebhookEndpointRow> {
    return this.database.withWorkspace(workspaceId, async (transaction) => {
      const count = await transaction
        .repository(WebhookEndpointRow)
        .countBy({ workspaceId, subject: IsNull() });
      if (count >= maxWebhookEndpoints) {
        throw new Conflict(
          `A workspace can have at most ${maxWebhookEndpoints} webhook endpoints. Delete one first.`,
          { code: 'too_many_webhook_endpoints' },
        );
      }
      await insertWebhookEndpoint(transaction, workspaceId, webhookEndpoint);
      return loadWebhookEndpoint(transaction, workspaceId, webhookEndpoint.id);
    });
  }

  /** @throws NotFound */
  get(workspaceId: string, id: string): Promise<WebhookEndpointRow> {
    return this.database.withWorkspace(workspaceId, (transaction) =>
      loadWebhookEndpoint(transaction, workspaceId, id),
    );
  }

  /**
   * Lists the workspace's endpoints, without those of single batches and tasks.
   * @returns at most `limit` + 1 endpoints, so that the caller knows if there are more.
   */
  list(workspaceId: string, page: PageQuery): Promise<WebhookEndpointRow[]> {
    return this.database.withWorkspace(workspaceId, (transaction) =>
      transaction.repository(WebhookEndpointRow).find({
        where: {
          workspaceId,
          subject: IsNull(),
          ...(page.after && { id: page.order === 'asc' ? MoreThan(page.after) : LessThan(page.after) }),
        },
        order: { id: page.order },
        take: page.limit + 1,
      }),
    );
  }

  /**
   * @param disabled true: no more deliveries are created or sent; false: they are again, and the breaker is reset.
   * @throws NotFound
   */
  update(
    workspaceId: string,
    id: string,
    changes: Partial<WebhookEndpointSettings>,
    disabled?: boolean,
  ): Promise<WebhookEndpointRow> {
    const changed = { ...changes, ...(disabled === true && disabling), ...(disabled === false && enabling) };
    return this.database.withWorkspace(workspaceId, async (transaction) => {
      if (disabled === false) await failStrayDeliveries(transaction, id);
      if (Object.keys(changed).length > 0) {
        const values = { ...changed, updatedAt: () => 'clock_timestamp()' };
        const { affected } = await transaction
          .repository(WebhookEndpointRow)
          .update({ id, workspaceId }, values);
        if (affected === 0) throw webhookEndpointNotFound();
      }
      if (disabled) await failPendingDeliveries(transaction, id);
      return loadWebhookEndpoint(transaction, workspaceId, id);
    });
  }

  /** @param keepOldS seconds for which the old secret signs too. @throws NotFound */
  rotateSecret(
    workspaceId: string,
    id: string,
    secret: Pick<WebhookEndpointRow, 'secretSealed' | 'secretHint'>,
    keepOldS: number,
  ): Promise<WebhookEndpointRow> {
    return this.database.withWorkspace(workspaceId, async (transaction) => {
      await transaction.execute(
        `update webhook_endpoints
         set secret_sealed = $3, secret_hint = $4, updated_at = clock_timestamp(),
           old_secret_sealed = case when $5 > 0 then secret_sealed end,
           old_secret_until = case when $5 > 0 then clock_timestamp() + make_interval(secs => $5) end
         where id = $1 and workspace_id = $2`,
        [id, workspaceId, secret.secretSealed, secret.secretHint, keepOldS],
      );
      return loadWebhookEndpoint(transaction, workspaceId, id);
    });
  }

  /** Deletes an endpoint, its deliveries and their log. @throws NotFound */
  delete(workspaceId: string, id: string): Promise<void> {
    return this.database.withWorkspace(workspaceId, async (transaction) => {
      const { affected } = await transaction.repository(WebhookEndpointRow).delete({ id, workspaceId });
      if (!affected) throw webhookEndpointNotFound();
    });
  }
}
