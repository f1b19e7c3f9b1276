/** Preloaded into a second API: it asks for leases of other names, so that it holds the first one's duties as well. */
import pg from 'pg';

/** The relay is not among them: its statements name the lease, and without it they would do nothing. */
const duties = ['dispatch', 'reconcile', 'garbage', 'compose'];

const client = pg.Client.prototype as unknown as { query: (config: unknown, ...rest: unknown[]) => unknown };
const { query } = client;

client.query = function (this: unknown, config: unknown, ...rest: unknown[]) {
  const [values] = rest;
  if (typeof config === 'string' && config.includes('leases') && Array.isArray(values)) {
    rest[0] = values.map((value) =>
      duties.includes(value as string) ? `${value as string}-twin` : (value as unknown),
    );
  }
  return query.call(this, config, ...rest);
};
