/** Child process of disk-errors.spec.ts, on a disk of 4 MB: fills it, frees it, and prints the outcome of each operation. */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { createDiskStorage } from '#storage';

const root = process.argv[2]!;
const signing = { baseUrl: 'http://127.0.0.1:3000', secret: 'a secret of thirty-two characters or more' };
const objects = await createDiskStorage({ root, signing });

async function* body(megabytes: number): AsyncGenerator<Uint8Array> {
  for (let part = 0; part < megabytes * 16; part++) yield Buffer.alloc(65_536, 'x');
}

async function settle(operation: Promise<unknown>): Promise<unknown> {
  return operation.then(
    () => 'ok',
    ({ name, status, code, message }) => ({ name, status, code, message }),
  );
}

const report = {
  before: await settle(objects.put('first', body(2))),
  stream: await settle(objects.put('second', body(8))),
  buffer: await settle(objects.put('second', Buffer.alloc(3_000_000))),
  replacing: await settle(objects.put('first', body(8))),
  firstBytes: (await objects.read('first')).length,
  second: await objects.head('second'),
  tempFiles: await readdir(path.join(root, '.tmp')),
  smallStillFits: await settle(objects.put('small', Buffer.alloc(1000))),
  freed: await settle(objects.delete(['first'])),
  after: await settle(objects.put('second', body(3))),
};
process.stdout.write(JSON.stringify(report));
