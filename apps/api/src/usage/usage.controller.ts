/** `/v1/usage`: what a workspace has used until now, and what the deployment's provider tokens have cost. */
import { Controller, Get, Inject, Query } from '@nestjs/common';
import { usageQuery, type CreditObject, type UsagePage, type UsageQueryParams } from '@millrace/contracts';
import { UsageStore } from '#database';
import type { Providers } from '#providers';
import { CurrentCaller, Requires } from '../access/decorators.ts';
import type { Caller } from '../access/caller.ts';
import { PROVIDERS } from '../infrastructure/tokens.ts';
import { buildCredits, getStartOfMonth } from './credits.ts';
import { buildUsageQuery, getSpan, toUsagePage } from './usage-page.ts';

/** Free credit of each provider in US dollars a month, from the settings. */
export const FREE_CREDIT = Symbol('free credit');

@Controller('v1/usage')
export class UsageController {
  constructor(
    @Inject(UsageStore) private readonly usage: UsageStore,
    @Inject(PROVIDERS) private readonly providers: Providers,
    @Inject(FREE_CREDIT) private readonly freeCredit: ReadonlyMap<string, number>,
  ) {}

  @Get()
  @Requires('usage:read')
  async read(
    @CurrentCaller() { workspaceId }: Caller,
    @Query({ schema: usageQuery }) query: UsageQueryParams,
  ): Promise<UsagePage> {
    const span = getSpan(query, Math.floor(Date.now() / 1_000));
    return toUsagePage(await this.usage.getUsage(workspaceId, buildUsageQuery(query, span)), span);
  }

  /** All workspaces share the providers' tokens, so only the workspace that runs the deployment may read this. */
  @Get('credit')
  @Requires('credits:read')
  async credit(): Promise<{ object: 'list'; data: CreditObject[] }> {
    const since = getStartOfMonth(new Date());
    const used = await this.usage.listTokenUsage(since);
    const providers = this.providers.list.map(({ id, defaultCredential }) => ({
      id,
      token: defaultCredential.fingerprint,
    }));
    const data = buildCredits(used, providers, this.freeCredit, since);
    return { object: 'list', data };
  }
}
