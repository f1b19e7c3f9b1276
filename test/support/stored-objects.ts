/**
 * Reads and changes the stored objects without our storage library: with file system calls on a disk, with minio's client
 * on S3. So tests check what is really stored.
 */
import { createReadStream } from 'node:fs';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { buffer } from 'node:stream/consumers';
import type { TestBucket } from './s3.ts';

export interface StoredObjects {
  /** The size of every object by key, including partly written files on a disk. */
  listSizes(): Promise<Map<string, number>>;
  stream(key: string): Promise<AsyncIterable<Uint8Array>>;
  read(key: string): Promise<Buffer>;
  write(key: string, bytes: string | Uint8Array): Promise<void>;
  remove(key: string): Promise<void>;
  /** Uploads that were neither completed nor aborted: temporary files, multipart uploads. */
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
        () => null, // It was deleted after the listing.
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

export function openBucketObjects(testBucket: TestBucket): StoredObjects {
  const { minioClient, bucket } = testBucket;
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
    listUnfinished: () => testBucket.listUnfinishedUploads(),
  };
}
