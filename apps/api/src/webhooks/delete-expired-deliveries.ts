/** Deletes webhook deliveries, with their attempts, that ended before their retention. */
import type { RetentionStore } from '#database';
import { deleteInPages } from '../background/delete-in-pages.ts';

/** Before that it ends deliveries whose endpoint is gone, so that they expire too. @returns how many were deleted. */
export async function deleteExpiredDeliveries(retention: RetentionStore, days: number): Promise<number> {
  await retention.failStrayDeliveries();
  return deleteInPages((limit) => retention.deleteExpiredDeliveries(days, limit));
}
