/** A connection to Redis that notices when the other side has fallen silent, and only then. */
import { Redis, type RedisOptions } from 'ioredis';

/**
 * ioredis 5.11 leaves the timer of `socketTimeout` running when its socket closes: some seconds later it
 * would destroy the next socket, which is well, or keep a process alive that has closed everything.
 */
export class RedisWithTimeout extends Redis {
  constructor(url: string, options: RedisOptions & { readonly socketTimeout: number }) {
    super(url, options);
    this.clearTimerOnClose();
  }

  private clearTimerOnClose(): void {
    const self = this as unknown as { socketTimeoutTimer: NodeJS.Timeout | undefined };
    this.on('close', () => {
      clearTimeout(self.socketTimeoutTimer);
      self.socketTimeoutTimer = undefined;
    });
  }

  /** BullMQ makes its blocking connection so. */
  override duplicate(options?: Partial<RedisOptions>): Redis {
    const copy = super.duplicate(options);
    RedisWithTimeout.prototype.clearTimerOnClose.call(copy);
    return copy;
  }
}
