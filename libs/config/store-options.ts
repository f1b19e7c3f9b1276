/** Where objects are kept, as the settings decide it: what an app gives to libs/storage, the same in every process. */
import { join } from 'node:path';
import type { AppConfig } from './config.ts';

type Given = Pick<
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

/** Where clients reach the API. */
export function publicUrl({ PUBLIC_URL, HOST, PORT }: Pick<Given, 'PUBLIC_URL' | 'HOST' | 'PORT'>): string {
  const host = HOST === '0.0.0.0' || HOST === '::' ? '127.0.0.1' : HOST;
  return (PUBLIC_URL ?? `http://${host}:${PORT}`).replace(/\/$/, '');
}

/** Plain options for `createStore`: S3 where a bucket is named, else a folder whose URLs the API signs and serves. */
export function storeOptions(config: Given) {
  if (config.S3_BUCKET === undefined) {
    return {
      kind: 'disk',
      root: join(config.MILLRACE_HOME, 'objects'),
      signing: { baseUrl: publicUrl(config), secret: config.MILLRACE_SECRET },
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
