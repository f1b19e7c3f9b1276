/**
 * pg's client, but one that gives its connection up when an answer is overdue. pg alone fails the statement and keeps
 * the connection: the pool would hand it out again and again, though its packets vanish.
 */
import pg from 'pg';

const overdue = 'Query read timeout';

type Query = (...args: unknown[]) => unknown;

export class DisconnectingClient extends pg.Client {
  static {
    const base = pg.Client.prototype as unknown as { query: Query };
    const query: Query = function (this: DisconnectingClient, ...args) {
      const answer = base.query.apply(this, args);
      if (answer instanceof Promise) {
        answer.catch((error: Error) => {
          if (error.message === overdue) this.giveUp(error);
        });
      }
      return answer;
    };
    Object.defineProperty(DisconnectingClient.prototype, 'query', { value: query });
  }

  private giveUp(error: Error): void {
    const { connection } = this as unknown as { connection: { stream: { destroy(error: Error): void } } };
    connection.stream.destroy(error);
  }
}
