/** Run in a mount namespace of its own on a disk of 4 MB: fills it, frees it, and says how the store took it. */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { createDiskStorage } from '#storage';

const root = process.argv[2]!;
const signing = { baseUrl: 'http://127.0.0.1:3000', secret: 'a secret of thirty-two characters or more' };
const objects = await createDiskStorage({ root, signing });

async function* body(megabytes: number): AsyncGenerator<Uint8Array> {
  for (let part = 0; part < megabytes * 16; part++) yield Buffer.alloc(65_536, 'x');
}

async function outcome(step: Promise<unknown>): Promise<unknown> {
  return step.then(
    () => 'ok',
    ({ name, status, code, message }) => ({ name, status, code, message }),
  );
}

const report = {
  before: await outcome(objects.put('first', body(2))),
  stream: await outcome(objects.put('second', body(8))),
  buffer: await outcome(objects.put('second', Buffer.alloc(3_000_000))),
  replacing: await outcome(objects.put('first', body(8))),
  firstIsKept: (await objects.read('first')).length,
  second: await objects.head('second'),
  temporary: await readdir(path.join(root, '.tmp')),
  smallStillFits: await outcome(objects.put('small', Buffer.alloc(1000))),
  freed: await outcome(objects.delete(['first'])),
  after: await outcome(objects.put('second', body(3))),
};
process.stdout.write(JSON.stringify(report));
