/**
 * The object store as it lies, seen and changed by another hand than ours: the file system's own calls on a disk,
 * minio's client on S3. What a test says of the store it says of what is really there.
 */
import { createReadStream } from 'node:fs';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { buffer } from 'node:stream/consumers';
import type { TestBucket } from './s3.ts';

export interface StoredObjects {
  /** Key → bytes of everything, half-written objects on a disk among it. */
  listSizes(): Promise<Map<string, number>>;
  stream(key: string): Promise<AsyncIterable<Uint8Array>>;
  read(key: string): Promise<Buffer>;
  write(key: string, bytes: string | Uint8Array): Promise<void>;
  remove(key: string): Promise<void>;
  /** What was begun and neither ended nor taken back: temporary files, uploads in parts. */
  listUnfinished(): Promise<string[]>;
}

const temporary = '.tmp/';

export function openDiskObjects(home: string): StoredObjects {
  const root = join(home, 'objects');
  const listSizes = async () => {
    const entries = await readdir(root, { recursive: true, withFileTypes: true });
    const found = new Map<string, number>();
    for (const entry of entries) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      const size = await stat(path).then(
        (file) => file.size,
        () => null, // Gone since it was listed.
      );
      if (size !== null) found.set(relative(root, path), size);
    }
    return found;
  };
  return {
    listSizes,
    stream: async (key) => createReadStream(join(root, key)),
    read: (key) => readFile(join(root, key)),
    async write(key, bytes) {
      await mkdir(dirname(join(root, key)), { recursive: true });
      await writeFile(join(root, key), bytes);
    },
    remove: (key) => rm(join(root, key)),
    listUnfinished: async () => [...(await listSizes()).keys()].filter((key) => key.startsWith(temporary)),
  };
}

export function openBucketObjects(inside: TestBucket): StoredObjects {
  const { minioClient, bucket } = inside;
  return {
    async listSizes() {
      const found = new Map<string, number>();
      for await (const { name, size } of minioClient.listObjectsV2(bucket, '', true)) {
        found.set(name as string, size as number);
      }
      return found;
    },
    stream: (key) => minioClient.getObject(bucket, key),
    read: async (key) => buffer(await minioClient.getObject(bucket, key)),
    write: async (key, bytes) => void (await minioClient.putObject(bucket, key, Buffer.from(bytes))),
    remove: (key) => minioClient.removeObject(bucket, key),
    listUnfinished: () => inside.listUnfinishedUploads(),
  };
}
