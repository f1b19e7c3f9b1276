/** A Postgres for one fault run, which can stop it in immediate mode and start it again on the same data and port. */
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

  /** Starts one, runs `work` with it, and removes it. */
  static async use<T>(
    print: (line: string) => void,
    work: (server: DedicatedPostgres) => Promise<T>,
  ): Promise<T> {
    const folder = await mkdtemp(join(tmpdir(), 'millrace-chaos-postgres-'));
    await chmod(folder, 0o711); // when started by root, the server's account must enter it
    const settings: PostgresOptions = {
      home: join(folder, 'home'),
      log: print,
      ports: { from: 22_000, to: 22_499 },
      settings: { shared_buffers: '64MB' },
      fallbackFolders: [join(folder, 'outside')],
    };
    const postgres = new DedicatedPostgres(settings, await startPostgres(settings));
    try {
      return await work(postgres);
    } finally {
      await postgres.stop();
      await rm(folder, { recursive: true, force: true });
    }
  }

  get url(): string {
    return this.server.url;
  }

  /** Immediate mode, as after a power failure: only committed changes remain. */
  stop(): Promise<void> {
    return this.server.stop('immediate');
  }

  async start(): Promise<void> {
    this.server = await startPostgres(this.settings);
  }
}
