/** Deletes events that are older than their retention. */
import type { RetentionStore } from '#database';
import { deleteInPages } from '../background/delete-in-pages.ts';

/** @returns how many were deleted. */
export const deleteExpiredEvents = (retention: RetentionStore, days: number): Promise<number> =>
  deleteInPages((limit) => retention.deleteExpiredEvents(days, limit));
