/**
 * `credentials.json` in the data folder (mode 0600): the address of the API, a key and the admin's password. It belongs to
 * one database. When the process starts with another database, the file is kept as `credentials.mr_….json` (named after
 * its key), and becomes `credentials.json` again when its database does.
 */
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export interface Credentials {
  readonly url: string;
  readonly apiKey: string;
  /** Only the first start knows the password. */
  readonly adminEmail?: string;
  readonly adminPassword?: string;
}

/** @returns whether the database of this process has the key. */
export type IsKnownKey = (apiKey: string) => Promise<boolean>;

export class CredentialsFile {
  readonly path: string;

  constructor(private readonly home: string) {
    this.path = join(home, 'credentials.json');
  }

  async read(): Promise<Credentials | null> {
    return readCredentials(this.path);
  }

  /**
   * Makes the file of this process's database the current one. Its `url` becomes `url`.
   * @returns whether there is one
   */
  async select(isKnownKey: IsKnownKey, url: string): Promise<boolean> {
    const found = await this.find(isKnownKey);
    if (!found) {
      await this.keepCurrent();
      return false;
    }
    if (found.path !== this.path) await this.keepCurrent();
    if (found.path !== this.path || found.credentials.url !== url) {
      await this.write({ ...found.credentials, url });
      if (found.path !== this.path) await rm(found.path, { force: true });
    }
    return true;
  }

  /** Replaces the current file, which must be of the same database. */
  async write(credentials: Credentials): Promise<void> {
    const draft = `${this.path}.${process.pid}.new`;
    await writeSynced(draft, credentials);
    await rename(draft, this.path);
  }

  /** Writes a file that `select` of the next start finds, if this process ends before `publish`. */
  async prepare(credentials: Credentials): Promise<{ publish(): Promise<void>; discard(): Promise<void> }> {
    const draft = this.getKeptPath(credentials.apiKey);
    await writeSynced(draft, credentials);
    return {
      // Another process on the same data folder may have found and published it.
      publish: () => rename(draft, this.path).catch(ignoreMissing),
      discard: () => rm(draft, { force: true }),
    };
  }

  private async find(isKnownKey: IsKnownKey): Promise<{ path: string; credentials: Credentials } | null> {
    const names = await readdir(this.home).catch(() => []);
    const kept = names.filter((name) => /^credentials\.mr_\w+\.json$/.test(name)).sort();
    for (const path of [this.path, ...kept.map((name) => join(this.home, name))]) {
      const credentials = await readCredentials(path);
      if (credentials && (await isKnownKey(credentials.apiKey))) return { path, credentials };
    }
    return null;
  }

  /** The current file is another database's: it is kept under the name of its key. */
  private async keepCurrent(): Promise<void> {
    const current = await this.read();
    if (current) await rename(this.path, this.getKeptPath(current.apiKey)).catch(ignoreMissing);
  }

  private getKeptPath(apiKey: string): string {
    const prefix = /^mr_\w{1,8}/.exec(apiKey)?.[0] ?? 'mr_other';
    return join(this.home, `credentials.${prefix}.json`);
  }
}

const ignoreMissing = (error: NodeJS.ErrnoException) => {
  if (error.code !== 'ENOENT') throw error;
};

async function writeSynced(path: string, credentials: Credentials): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await rm(path, { force: true });
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(`${JSON.stringify(credentials, null, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function readCredentials(path: string): Promise<Credentials | null> {
  try {
    const parsed = JSON.parse(await readFile(path, 'utf8')) as Partial<Credentials> | null;
    return typeof parsed?.apiKey === 'string' ? (parsed as Credentials) : null;
  } catch {
    return null; // There is no such file, or it is damaged.
  }
}
