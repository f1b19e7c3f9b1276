/** Webhook endpoints as their owner sees them. Secrets come sealed and go sealed: what they say is nobody's business here. */
import { IsNull, LessThan, MoreThan } from 'typeorm';
import type { PageQuery } from '@millrace/contracts';
import { Conflict, NotFound } from '#domain';
import type { Database, Transaction } from '../database.ts';
import { WebhookEndpointRow } from '../entities/index.ts';

/** What an owner decides. `rotate` and `disable` have calls of their own. */
export type WebhookEndpointSettings = Pick<
  WebhookEndpointRow,
  'name' | 'url' | 'eventTypes' | 'headerNames' | 'headersSealed' | 'metadataFilter' | 'ordered' | 'rateLimit'
>;

export type NewWebhookEndpoint = Pick<
  WebhookEndpointRow,
  'id' | 'name' | 'url' | 'eventTypes' | 'secretSealed' | 'secretHint'
> &
  Partial<WebhookEndpointSettings> & {
    /** The batch or task whose events alone it gets. */
    readonly subject?: string;
  };

/** One that is disabled already keeps its time and its reason. */
const disabling = {
  disabledAt: () => 'coalesce(disabled_at, clock_timestamp())',
  disabledReason: () => `coalesce(disabled_reason, 'request')`,
};

/** One that is not disabled keeps its breaker as it is. */
const unlessEnabled = (column: string, anew: string) => () =>
  `case when disabled_at is null then ${column} else ${anew} end`;
const enabling = {
  disabledAt: null,
  disabledReason: null,
  failures: unlessEnabled('failures', '0'),
  failingSince: unlessEnabled('failing_since', 'null'),
  failedAt: unlessEnabled('failed_at', 'null'),
  pausedUntil: unlessEnabled('paused_until', 'null'),
};

/** Endpoints of one workspace, those of single batches and tasks not counted. */
const mostEndpoints = 100;

export class WebhookEndpointStore {
  constructor(private readonly database: Database) {}

  /** @throws Conflict where the workspace has as many as it may have. */
  create(workspaceId: string, endpoint: NewWebhookEndpoint): Promise<WebhookEndpointRow> {
    return this.database.withWorkspace(workspaceId, async (tx) => {
      const count = await tx.getRepository(WebhookEndpointRow).countBy({ workspaceId, subject: IsNull() });
      if (count >= mostEndpoints) {
        throw new Conflict(`A workspace has ${mostEndpoints} webhook endpoints at most. Delete one first.`, {
          code: 'too_many_webhook_endpoints',
        });
      }
      await insertWebhookEndpoint(tx, workspaceId, endpoint);
      return loadWebhookEndpoint(tx, workspaceId, endpoint.id);
    });
  }

  /** @throws NotFound */
  get(workspaceId: string, id: string): Promise<WebhookEndpointRow> {
    return this.database.withWorkspace(workspaceId, (tx) => loadWebhookEndpoint(tx, workspaceId, id));
  }

  /** One row more than `limit` where there are more. Those of single batches and tasks are not listed. */
  list(workspaceId: string, page: PageQuery): Promise<WebhookEndpointRow[]> {
    return this.database.withWorkspace(workspaceId, (tx) =>
      tx.getRepository(WebhookEndpointRow).find({
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
   * @param disabled true: nothing more is made or sent; false: from now on again, breaker and all begun anew.
   * @throws NotFound
   */
  update(
    workspaceId: string,
    id: string,
    changes: Partial<WebhookEndpointSettings>,
    disabled?: boolean,
  ): Promise<WebhookEndpointRow> {
    const changed = { ...changes, ...(disabled === true && disabling), ...(disabled === false && enabling) };
    return this.database.withWorkspace(workspaceId, async (tx) => {
      if (disabled === false) await failStrayDeliveries(tx, id);
      if (Object.keys(changed).length > 0) {
        const values = { ...changed, updatedAt: () => 'clock_timestamp()' };
        const { affected } = await tx.getRepository(WebhookEndpointRow).update({ id, workspaceId }, values);
        if (affected === 0) throw notFound();
      }
      if (disabled) await failPendingDeliveries(tx, id);
      return loadWebhookEndpoint(tx, workspaceId, id);
    });
  }

  /** @param keepOldS seconds for which the secret before it signs too. @throws NotFound */
  rotateSecret(
    workspaceId: string,
    id: string,
    secret: Pick<WebhookEndpointRow, 'secretSealed' | 'secretHint'>,
    keepOldS: number,
  ): Promise<WebhookEndpointRow> {
    return this.database.withWorkspace(workspaceId, async (tx) => {
      await tx.query(
        `update webhook_endpoints
         set secret_sealed = $3, secret_hint = $4, updated_at = clock_timestamp(),
           old_secret_sealed = case when $5 > 0 then secret_sealed end,
           old_secret_until = case when $5 > 0 then clock_timestamp() + make_interval(secs => $5) end
         where id = $1 and workspace_id = $2`,
        [id, workspaceId, secret.secretSealed, secret.secretHint, keepOldS],
      );
      return loadWebhookEndpoint(tx, workspaceId, id);
    });
  }

  /** With its deliveries and their log. @throws NotFound */
  delete(workspaceId: string, id: string): Promise<void> {
    return this.database.withWorkspace(workspaceId, async (tx) => {
      const { affected } = await tx.getRepository(WebhookEndpointRow).delete({ id, workspaceId });
      if (!affected) throw notFound();
    });
  }
}

export async function insertWebhookEndpoint(
  tx: Transaction,
  workspaceId: string,
  endpoint: NewWebhookEndpoint,
): Promise<void> {
  await tx.getRepository(WebhookEndpointRow).insert({ ...endpoint, workspaceId });
}

/** What waits for a disabled endpoint has failed; it can be asked for again. @param now a test's clock. */
export async function failPendingDeliveries(
  tx: Transaction,
  endpointId: string,
  now: Date | null = null,
): Promise<void> {
  await tx.query(
    `update deliveries
     set status = 'failed', error_code = 'endpoint_disabled', next_try_at = null, leased_by = null,
       leased_until = null, finished_at = coalesce($2::timestamptz, clock_timestamp())
     where endpoint_id = $1 and status = 'pending'`,
    [endpointId, now],
  );
}

/**
 * The same for deliveries that the relay made in the very moment in which their endpoint was disabled: it did not see
 * that yet, and whoever disabled it did not see them.
 * @param endpointId null: those of every endpoint. @returns how many they were.
 */
export async function failStrayDeliveries(
  tx: Pick<Transaction, 'query'>,
  endpointId: string | null,
): Promise<number> {
  const [, count] = await tx.query<[unknown[], number]>(
    `update deliveries d
     set status = 'failed', error_code = 'endpoint_disabled', next_try_at = null, leased_by = null,
       leased_until = null, finished_at = clock_timestamp()
     from webhook_endpoints e
     where e.id = d.endpoint_id and d.status = 'pending' and e.disabled_at is not null and ($1::text is null or e.id = $1)`,
    [endpointId],
  );
  return count;
}

/** @throws NotFound */
export async function loadWebhookEndpoint(
  tx: Transaction,
  workspaceId: string,
  id: string,
): Promise<WebhookEndpointRow> {
  const found = await tx.getRepository(WebhookEndpointRow).findOneBy({ id, workspaceId });
  if (!found) throw notFound();
  return found;
}

const notFound = () => new NotFound('No such webhook endpoint.', { code: 'webhook_endpoint_not_found' });
