/**
 * pg's client, but it closes its connection when a query times out. pg alone fails the query and keeps the connection, so
 * the pool would lend it out again although its packets are dropped.
 */
import pg from 'pg';

const timeoutMessage = 'Query read timeout';

type Query = (...args: unknown[]) => unknown;

export class DisconnectingClient extends pg.Client {
  static {
    const base = pg.Client.prototype as unknown as { query: Query };
    const query: Query = function (this: DisconnectingClient, ...args) {
      const result = base.query.apply(this, args);
      if (result instanceof Promise) {
        result.catch((error: Error) => {
          if (error.message === timeoutMessage) this.disconnect(error);
        });
      }
      return result;
    };
    Object.defineProperty(DisconnectingClient.prototype, 'query', { value: query });
  }

  private disconnect(error: Error): void {
    const { connection } = this as unknown as { connection: { stream: { destroy(error: Error): void } } };
    connection.stream.destroy(error);
  }
}
