/** One bucket as every part of the S3 store talks to it: the client, made with bounds on everything, and the keys. */
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { watchIntegrity, type EtagTrust } from './integrity.ts';
import { defaults, type S3StoreOptions } from './options.ts';

export interface Bucket {
  readonly client: S3Client;
  /** Signs addresses: without the checksums of a body that it will never see. */
  readonly signer: S3Client;
  readonly name: string;
  readonly prefix: string;
  readonly partBytes: number;
  readonly maxAttempts: number;
  readonly sendsCrc32: boolean;
  readonly etags: EtagTrust;
  /** The key's address in a command. */
  at(key: string): { Bucket: string; Key: string };
  close(): void;
}

/** Connections at once: what is above waits its turn. */
const maxSockets = 128;
const silent = () => undefined;

export function openBucket(options: S3StoreOptions): Bucket {
  const { bucket: name, prefix = '', partBytes = defaults.partBytes } = options;
  const maxAttempts = options.maxAttempts ?? defaults.maxAttempts;
  const sendsCrc32 = options.checksums === 'when_supported';
  const timeouts = { ...defaults.timeouts, ...options.timeouts };
  const agents = { httpAgent: agent(HttpAgent), httpsAgent: agent(HttpsAgent) };
  const config: S3ClientConfig = {
    region: options.region,
    forcePathStyle: options.forcePathStyle ?? false,
    ...(options.endpoint !== undefined && { endpoint: options.endpoint }),
    ...credentialsOf(options),
    maxAttempts,
    retryMode: options.retryMode ?? 'standard',
    requestChecksumCalculation: 'WHEN_REQUIRED',
    // Reading checks the ETag itself: the SDK's own way never ends when a connection breaks within a body.
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      ...agents,
      connectionTimeout: timeouts.connectMs,
      socketTimeout: timeouts.idleMs,
      requestTimeout: timeouts.answerMs,
      throwOnRequestTimeout: true,
    },
    // It would take every large body off the connections that are kept.
    expectContinueHeader: false,
    logger: { trace: silent, debug: silent, info: silent, warn: silent, error: silent },
  };
  const client = new S3Client({
    ...config,
    ...(sendsCrc32 && { requestChecksumCalculation: 'WHEN_SUPPORTED' }),
  });
  const etags = watchIntegrity(client);
  return {
    client,
    signer: new S3Client(config),
    name,
    prefix,
    partBytes,
    maxAttempts,
    sendsCrc32,
    etags,
    at: (key) => ({ Bucket: name, Key: prefix + key }),
    close() {
      for (const each of Object.values(agents)) each.destroy();
    },
  };
}

function agent<T>(of: new (options: { keepAlive: boolean; maxSockets: number; scheduling: 'lifo' }) => T): T {
  return new of({ keepAlive: true, maxSockets, scheduling: 'lifo' });
}

function credentialsOf({
  accessKeyId,
  secretAccessKey,
}: S3StoreOptions): Pick<S3ClientConfig, 'credentials'> {
  if (accessKeyId === undefined || secretAccessKey === undefined) return {};
  return { credentials: { accessKeyId, secretAccessKey } };
}
