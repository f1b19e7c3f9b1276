/** The report that `check-responses.ts` writes while an API of a test runs. */
import { readFile, rm } from 'node:fs/promises';
import { extname } from 'node:path';

/** The same file in the sources and in the build. */
const preload = new URL(`./check-responses${extname(import.meta.url)}`, import.meta.url).href;

export class ResponseReport {
  readonly nodeArgs = ['--import', preload];
  readonly env: Readonly<Record<string, string>>;
  private readonly path: string;

  /** @param home the platform's data folder. The report is beside it: tests fill the folder's disk, or take it away. */
  constructor(home: string) {
    this.path = `${home}-responses.txt`;
    this.env = { RESPONSE_REPORT: this.path };
  }

  /** @throws Error with every response that does not match the schema of its route, and if nothing was checked. */
  async assertNoMismatch(): Promise<void> {
    const text = await readFile(this.path, 'utf8');
    await rm(this.path);
    const mismatches = new Set(text.trim().split('\n'));
    if (!mismatches.delete('checking responses'))
      throw new Error('the responses of the API were not checked');
    if (mismatches.size > 0)
      throw new Error(`responses do not match contracts:\n${[...mismatches].join('\n')}`);
  }
}
