/** Child process that is killed with SIGKILL during a put. Prints `there` when it has reached the requested place. */
import fs from 'node:fs/promises';
import { createDiskStorage } from '#storage';

const [root, place] = process.argv.slice(2) as [string, string];
const signing = { baseUrl: 'http://127.0.0.1:3000', secret: 'a secret of thirty-two characters or more' };
const objects = await createDiskStorage({ root, signing });
const never = new Promise<never>(() => undefined);
setInterval(() => undefined, 1000);

const hold = (): Promise<never> => {
  process.stdout.write('there\n');
  return never;
};

async function* stalling(): AsyncGenerator<Uint8Array> {
  yield Buffer.alloc(2_000_000, 'x');
  await hold();
}

if (place === 'body') await objects.put('k', stalling());
if (place === 'rename') {
  fs.rename = hold;
  await objects.put('k', Buffer.alloc(2_000_000, 'x'));
}
if (place === 'link') {
  fs.unlink = hold;
  await objects.put('k', Buffer.alloc(2_000_000, 'x'), { ifNoneMatch: '*' });
}
if (place === 'loop') {
  for (let round = 0; ; round++) {
    const size = 100_000 + (round % 10);
    await objects.put(`loop/${round % 3}`, Buffer.alloc(size, String(round % 10)));
    if (round === 0) process.stdout.write('there\n');
  }
}
