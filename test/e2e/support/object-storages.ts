/** Starts the platform on each object storage: the data folder, and an S3 bucket if a server is configured. */
import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { startPlatform, type Platform, type PlatformOptions } from '../../support/platform.ts';
import { createBucket, findS3Server } from '../../support/s3.ts';

export interface PlatformWithStorage extends Platform {
  /** Keys of all objects, and of uploads that are not complete. */
  keys(): Promise<string[]>;
}

type StartPlatform = (options?: PlatformOptions) => Promise<PlatformWithStorage>;

async function startOnDisk(options: PlatformOptions = {}): Promise<PlatformWithStorage> {
  const platform = await startPlatform(options);
  const root = join(platform.home, 'objects');
  const keys = async () => {
    const entries = await readdir(root, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => relative(root, join(entry.parentPath, entry.name)));
  };
  return Object.assign(platform, { keys });
}

const server = findS3Server();

async function startOnS3(options: PlatformOptions = {}): Promise<PlatformWithStorage> {
  const bucket = await createBucket(server!);
  const env = {
    S3_BUCKET: bucket.bucket,
    S3_ENDPOINT: bucket.endpoint,
    S3_ACCESS_KEY_ID: bucket.accessKeyId,
    S3_SECRET_ACCESS_KEY: bucket.secretAccessKey,
    ...options.env,
  };
  const platform = await startPlatform({ ...options, env });
  const stop = () => platform.stop().finally(() => bucket.remove());
  const keys = async () => [...(await bucket.listKeys()), ...(await bucket.listUnfinishedUploads())];
  return { ...platform, stop, keys };
}

/** For `describe.each`. Without a server, `findS3Server` has warned. */
export const objectStorages: [string, StartPlatform][] = [
  ['disk', startOnDisk],
  ...(server ? [['S3', startOnS3] as [string, StartPlatform]] : []),
];
