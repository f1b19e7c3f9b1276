/**
 * Proves that a fault run can fail: a commit that no longer asks whether its attempt still holds the chunk. Only
 * statements on their way to the server are changed, and nothing of the product.
 */
import { fileURLToPath } from 'node:url';

const fence = "where batch_id = $1 and index = $2 and attempt = $3 and status = 'running'";
/** Still names $3, so that its type is known. */
const noFence = 'where batch_id = $1 and index = $2 and $3::int is not null';
const isCommit = /update chunks\s+set status = 'done'/;

/** @throws Error when the commit no longer reads as this proof expects: a proof that proves nothing is worse than none. */
export function removeFence(sql: string): string {
  if (!isCommit.test(sql)) return sql;
  if (!sql.includes(fence))
    throw new Error('without-fence does not know the fence of this commit statement any more');
  return sql.replace(fence, noFence);
}

/** Arguments for a worker's node: all of its commits go without their fence. */
export const removeFenceArgs = [
  '--import',
  fileURLToPath(new URL('./preload/remove-chunk-fence.js', import.meta.url)),
];
