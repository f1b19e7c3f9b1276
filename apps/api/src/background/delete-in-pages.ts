/** Deletes expired rows a page at a time, so that a backlog is deleted without a long lock. */

/** Rows per statement, and statements per run. */
const page = 1_000;
const pages = 20;

/** @param deletePage deletes at most `limit` rows and returns how many. @returns how many were deleted in this run. */
export async function deleteInPages(deletePage: (limit: number) => Promise<number>): Promise<number> {
  let total = 0;
  for (let nth = 0; nth < pages; nth++) {
    const deleted = await deletePage(page);
    total += deleted;
    if (deleted < page) break;
  }
  return total;
}
