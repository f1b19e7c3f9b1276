/** Preloaded into a second API: it uses other lease names, so that it runs the background jobs of the first one as well. */
import pg from 'pg';

/** Without the relay: its statements check the lease by name and would do nothing. */
const jobs = ['dispatch', 'reconcile', 'garbage', 'compose'];

const client = pg.Client.prototype as unknown as { query: (config: unknown, ...rest: unknown[]) => unknown };
const { query } = client;

client.query = function (this: unknown, config: unknown, ...rest: unknown[]) {
  const [values] = rest;
  if (typeof config === 'string' && config.includes('leases') && Array.isArray(values)) {
    rest[0] = values.map((value) =>
      jobs.includes(value as string) ? `${value as string}-second` : (value as unknown),
    );
  }
  return query.call(this, config, ...rest);
};
