/** Shared by the disk specs. */
import fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

export const signing = {
  baseUrl: 'http://127.0.0.1:3000',
  secret: 'a secret of thirty-two characters or more',
};

export function createFolder(): Promise<string> {
  return fs.mkdtemp(path.join(tmpdir(), 'millrace-storage-'));
}
