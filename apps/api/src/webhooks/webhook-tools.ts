/** What creating, testing and sending to webhook endpoints needs besides the database. */
import type { Outbound } from '#outbound';
import type { Sealer } from '#webhooks';

export interface WebhookTools {
  /** Refuses addresses that are not public. */
  readonly outbound: Pick<Outbound, 'checkUrl' | 'send'>;
  /** Encrypts secrets and headers before they are stored. */
  readonly sealer: Sealer;
}
