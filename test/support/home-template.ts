/** A data folder with an embedded database that is created once and copied for each test: initdb takes most of a first start. */
import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startPostgres } from '../../deploy/embedded/postgres.ts';
import type { PortRange } from '../../deploy/embedded/tcp-ports.ts';

export interface HomeTemplate {
  /** Creates the data folder `home`, whose database has the port and the passwords of the template. */
  copyTo(home: string): Promise<void>;
  remove(): Promise<void>;
}

export async function createHomeTemplate(ports: PortRange): Promise<HomeTemplate> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-home-template-'));
  await chmod(folder, 0o755);
  const template = join(folder, 'home');
  const server = await startPostgres({ home: template, ports, durable: false, log: () => undefined });
  await server.stop();
  await server.exited;
  return {
    async copyTo(home) {
      // `cp -a` keeps the owner: started by root, the server runs as another user. Node's `cp` does not.
      await promisify(execFile)('cp', ['-a', template, home]);
      const info = join(home, 'postgres.json');
      await writeFile(info, (await readFile(info, 'utf8')).replace(template, home));
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
