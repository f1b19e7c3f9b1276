/** Finds queued work whose job the queue does not have, for the reconcile steps of tasks and batches. */

/** Seconds after which queued work is checked, and a worker counts as gone. */
export const overdueAfterS = { queued: 10, workerGone: 10 };

/**
 * @param toJobId the id of an item's job.
 * @param findMissing returns those of the ids whose job the queue does not have.
 * @returns the items whose job is missing.
 */
export async function findMissingJobs<T>(
  items: readonly T[],
  toJobId: (item: T) => string,
  findMissing: (ids: string[]) => Promise<string[]>,
): Promise<T[]> {
  const missing = new Set(await findMissing(items.map(toJobId)));
  return items.filter((item) => missing.has(toJobId(item)));
}
