/** Preloaded into workers: every commit of a chunk is sent without its fence. */
import pg from 'pg';
import { removeFence } from '../remove-fence.ts';

const client = pg.Client.prototype as unknown as { query: (config: unknown, ...rest: unknown[]) => unknown };
const { query } = client;

client.query = function (this: unknown, config: unknown, ...rest: unknown[]) {
  // A prepared statement is an object with the text.
  const { text } = config as { text?: unknown };
  if (typeof text === 'string')
    return query.call(this, { ...(config as object), text: removeFence(text) }, ...rest);
  return query.call(this, typeof config === 'string' ? removeFence(config) : config, ...rest);
};
