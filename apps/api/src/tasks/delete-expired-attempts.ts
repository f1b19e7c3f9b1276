/** Deletes attempts at tasks that ended before their retention. */
import type { RetentionStore } from '#database';
import { deleteInPages } from '../background/delete-in-pages.ts';

/** @returns how many were deleted. */
export const deleteExpiredAttempts = (retention: RetentionStore, days: number): Promise<number> =>
  deleteInPages((limit) => retention.deleteExpiredAttempts(days, limit));
