/** The bucket and its S3 client, with a limit on connections, attempts and every wait. */
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { verifyChecksums, type EtagFormat } from './checksums.ts';
import { defaults, type S3StorageOptions, type S3Timeouts } from './options.ts';

export interface Bucket {
  readonly client: S3Client;
  /** Signs URLs. A client of its own, because `client` adds checksums of a body that a signed URL does not have yet. */
  readonly signer: S3Client;
  readonly name: string;
  /** Its URL; undefined for AWS. */
  readonly endpoint: string | undefined;
  readonly prefix: string;
  readonly partBytes: number;
  readonly maxAttempts: number;
  readonly sendsCrc32: boolean;
  readonly etagFormat: EtagFormat;
  /** Bucket and key, as commands take them. */
  buildAddress(key: string): { Bucket: string; Key: string };
  close(): void;
}

/** Connections at a time. More requests wait. */
const maxSockets = 128;
const ignore = () => undefined;

export function openBucket(options: S3StorageOptions): Bucket {
  const { bucket: name, prefix = '', partBytes = defaults.partBytes } = options;
  const maxAttempts = options.maxAttempts ?? defaults.maxAttempts;
  const sendsCrc32 = options.checksums === 'when_supported';
  const timeouts: S3Timeouts = { ...defaults.timeouts, ...options.timeouts };
  const agents = { httpAgent: createAgent(HttpAgent), httpsAgent: createAgent(HttpsAgent) };
  const config: S3ClientConfig = {
    region: options.region,
    forcePathStyle: options.forcePathStyle ?? false,
    ...(options.endpoint !== undefined && { endpoint: options.endpoint }),
    ...toCredentials(options),
    maxAttempts,
    retryMode: options.retryMode ?? 'standard',
    requestChecksumCalculation: 'WHEN_REQUIRED',
    // read-body.ts verifies the ETag instead: the SDK's check never ends when a connection breaks within a body.
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      ...agents,
      connectionTimeout: timeouts.connectMs,
      socketTimeout: timeouts.idleMs,
      requestTimeout: timeouts.responseMs,
      throwOnRequestTimeout: true,
    },
    // With it, requests with a large body would not reuse connections.
    expectContinueHeader: false,
    logger: { trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore },
  };
  const client = new S3Client({
    ...config,
    ...(sendsCrc32 && { requestChecksumCalculation: 'WHEN_SUPPORTED' }),
  });
  const etagFormat = verifyChecksums(client);
  return {
    client,
    signer: new S3Client(config),
    name,
    endpoint: options.endpoint,
    prefix,
    partBytes,
    maxAttempts,
    sendsCrc32,
    etagFormat,
    buildAddress: (key) => ({ Bucket: name, Key: prefix + key }),
    close() {
      for (const each of Object.values(agents)) each.destroy();
    },
  };
}

function createAgent<T>(
  Agent: new (options: { keepAlive: boolean; maxSockets: number; scheduling: 'lifo' }) => T,
): T {
  return new Agent({ keepAlive: true, maxSockets, scheduling: 'lifo' });
}

function toCredentials({
  accessKeyId,
  secretAccessKey,
}: S3StorageOptions): Pick<S3ClientConfig, 'credentials'> {
  if (accessKeyId === undefined || secretAccessKey === undefined) return {};
  return { credentials: { accessKeyId, secretAccessKey } };
}
