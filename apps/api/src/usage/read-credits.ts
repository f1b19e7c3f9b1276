/** Reads what the deployment's provider tokens have cost this month. */
import type { CreditObject } from '@millrace/contracts';
import type { UsageStore } from '#database';
import type { Providers } from '#providers';
import { buildCredits, getStartOfMonth } from './credits.ts';

export type ReadCredits = () => Promise<CreditObject[]>;
export const READ_CREDITS = Symbol('read credits');

export interface ReadCreditsDeps {
  readonly usage: Pick<UsageStore, 'listTokenUsage'>;
  readonly providers: Providers;
  /** Free credit of each provider in US dollars a month. */
  readonly freeCredit: ReadonlyMap<string, number>;
}

export function readCreditsWith({ usage, providers, freeCredit }: ReadCreditsDeps): ReadCredits {
  return async () => {
    const since = getStartOfMonth(new Date());
    const used = await usage.listTokenUsage(since);
    const tokens = providers.list.map(({ id, defaultCredential }) => ({
      id,
      token: defaultCredential.fingerprint,
    }));
    return buildCredits(used, tokens, freeCredit, since);
  };
}
