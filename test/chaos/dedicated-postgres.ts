/** A Postgres of a fault run's own, to be stopped as if the power failed and started again on the same data and port. */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  startPostgres,
  type EmbeddedPostgres,
  type PostgresOptions,
} from '../../deploy/embedded/postgres.ts';

export class DedicatedPostgres {
  private constructor(
    private readonly settings: PostgresOptions,
    private server: EmbeddedPostgres,
  ) {}

  /** Runs `work` with one, and removes it after. */
  static async use<T>(
    print: (line: string) => void,
    work: (server: DedicatedPostgres) => Promise<T>,
  ): Promise<T> {
    const folder = await mkdtemp(join(tmpdir(), 'millrace-chaos-postgres-'));
    await chmod(folder, 0o711); // as root, the server's account passes through it
    const settings: PostgresOptions = {
      home: join(folder, 'home'),
      log: print,
      ports: { from: 22_000, to: 22_499 },
      settings: { shared_buffers: '64MB' },
      fallbackFolders: [join(folder, 'outside')],
    };
    const own = new DedicatedPostgres(settings, await startPostgres(settings));
    try {
      return await work(own);
    } finally {
      await own.stop();
      await rm(folder, { recursive: true, force: true });
    }
  }

  get url(): string {
    return this.server.url;
  }

  /** Immediate mode: what was not committed is gone, what was is on disk. */
  stop(): Promise<void> {
    return this.server.stop('immediate');
  }

  async start(): Promise<void> {
    this.server = await startPostgres(this.settings);
  }
}
