/** Options of object storage for libs/storage, from the settings. */
import { join } from 'node:path';
import type { AppConfig } from './config.ts';

type StorageSettings = Pick<
  AppConfig,
  | 'HOST'
  | 'PORT'
  | 'PUBLIC_URL'
  | 'MILLRACE_HOME'
  | 'MILLRACE_SECRET'
  | 'S3_BUCKET'
  | 'S3_ENDPOINT'
  | 'S3_REGION'
  | 'S3_ACCESS_KEY_ID'
  | 'S3_SECRET_ACCESS_KEY'
  | 'S3_FORCE_PATH_STYLE'
  | 'S3_CHECKSUMS'
>;

/** @returns the URL under which clients reach the API, without a trailing slash. */
export function getPublicUrl({
  PUBLIC_URL,
  HOST,
  PORT,
}: Pick<StorageSettings, 'PUBLIC_URL' | 'HOST' | 'PORT'>): string {
  const host = HOST === '0.0.0.0' || HOST === '::' ? '127.0.0.1' : HOST;
  return (PUBLIC_URL ?? `http://${host}:${PORT}`).replace(/\/$/, '');
}

/** @returns options for `createObjectStorage`: S3 if S3_BUCKET is set, otherwise a folder whose signed URLs the API serves. */
export function buildObjectStorageOptions(config: StorageSettings) {
  if (config.S3_BUCKET === undefined) {
    return {
      kind: 'disk',
      root: join(config.MILLRACE_HOME, 'objects'),
      signing: { baseUrl: getPublicUrl(config), secret: config.MILLRACE_SECRET },
    } as const;
  }
  return {
    kind: 's3',
    bucket: config.S3_BUCKET,
    endpoint: config.S3_ENDPOINT,
    region: config.S3_REGION,
    accessKeyId: config.S3_ACCESS_KEY_ID,
    secretAccessKey: config.S3_SECRET_ACCESS_KEY,
    forcePathStyle: config.S3_FORCE_PATH_STYLE ?? config.S3_ENDPOINT !== undefined,
    checksums: config.S3_CHECKSUMS,
  } as const;
}
