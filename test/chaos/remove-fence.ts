/**
 * Removes the attempt fence from chunk commits, to prove that the checker finds the violations. Only SQL text on its way to
 * the server is changed; the product's code is not.
 */
import { fileURLToPath } from 'node:url';

const fence = "where batch_id = $1 and index = $2 and attempt = $3 and status = 'running'";
/** Still uses $3, so that Postgres can infer its type. */
const noFence = 'where batch_id = $1 and index = $2 and $3::int is not null';
const isCommit = /update chunks\s+set status = 'done'/;

/** @throws Error if the commit statement has changed and the fence is not found, because the proof would then prove nothing. */
export function removeFence(sql: string): string {
  if (!isCommit.test(sql)) return sql;
  if (!sql.includes(fence))
    throw new Error('the fence was not found in the commit statement: update remove-fence.ts');
  return sql.replace(fence, noFence);
}

/** Node arguments for a worker: its chunk commits are sent without the fence. */
export const removeFenceArgs = [
  '--import',
  fileURLToPath(new URL('./preload/remove-chunk-fence.js', import.meta.url)),
];
