/** A Redis connection with a working `socketTimeout`: it closes when the server stops answering, and only then. */
import { Redis, type RedisOptions } from 'ioredis';

/**
 * ioredis 5.11 does not clear the timer of `socketTimeout` when the socket closes. Some seconds later the timer destroys
 * the next socket, which is healthy, or keeps a process alive that has closed everything.
 */
export class RedisWithTimeout extends Redis {
  constructor(url: string, options: RedisOptions & { readonly socketTimeout: number }) {
    super(url, options);
    this.clearTimerOnClose();
    this.hideEvictionPolicy();
  }

  private clearTimerOnClose(): void {
    const internals = this as unknown as { socketTimeoutTimer: NodeJS.Timeout | undefined };
    this.on('close', () => {
      clearTimeout(internals.socketTimeoutTimer);
      internals.socketTimeoutTimer = undefined;
    });
  }

  /**
   * BullMQ reads INFO for the version on each connection, and prints a warning about the eviction policy each time.
   * `assertRedisUsable` reports it once.
   */
  private hideEvictionPolicy(): void {
    const readInfo = this.info.bind(this) as (...parameters: unknown[]) => Promise<string>;
    this.info = (...parameters: unknown[]) => {
      const answer = readInfo(...parameters);
      // ioredis checks with a callback whether the server is ready.
      if (typeof parameters.at(-1) === 'function') return answer;
      return answer.then((info) => info.replace(/^maxmemory_policy:.*$/m, ''));
    };
  }

  /** BullMQ creates its blocking connection with `duplicate`. */
  override duplicate(options?: Partial<RedisOptions>): Redis {
    const copy = super.duplicate(options);
    RedisWithTimeout.prototype.clearTimerOnClose.call(copy);
    RedisWithTimeout.prototype.hideEvictionPolicy.call(copy);
    return copy;
  }
}
