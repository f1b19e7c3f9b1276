/**
 * The S3 server of the tests, where the environment names one, and minio's client as an independent eye on it:
 * what our adapter wrote is read and counted through another implementation of the protocol, and the reverse.
 */
import { randomUUID } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { DeleteObjectsCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import { Client } from 'minio';
import { createObjectStorage, type ObjectStorage, type S3StorageOptions } from '#storage';

export interface S3Server {
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface TestBucket extends S3Server {
  readonly bucket: string;
  readonly minioClient: Client;
  /** Keys of everything in it, whoever put it there. */
  listKeys(): Promise<string[]>;
  /** Keys of the uploads in parts that nobody has completed or aborted. */
  listUnfinishedUploads(): Promise<string[]>;
  read(key: string): Promise<Buffer>;
  /** With all that is in it. */
  remove(): Promise<void>;
}

/** @returns null, having said so loudly, where no server is named; throws in CI, which must name one. */
export function findS3Server(): S3Server | null {
  const {
    S3_TEST_ENDPOINT: endpoint,
    S3_TEST_ACCESS_KEY_ID: accessKeyId,
    S3_TEST_SECRET_ACCESS_KEY: secretAccessKey,
  } = process.env;
  if (endpoint && accessKeyId && secretAccessKey) return { endpoint, accessKeyId, secretAccessKey };
  const missing = 'S3_TEST_ENDPOINT, S3_TEST_ACCESS_KEY_ID and S3_TEST_SECRET_ACCESS_KEY are not all set';
  if (process.env['CI'] === 'true') throw new Error(`CI needs an S3 server: ${missing}`);
  console.warn(`\n${'*'.repeat(78)}\n** NOT RUN ON S3: ${missing}\n${'*'.repeat(78)}\n`);
  return null;
}

/** The store as the apps open it. */
export function openS3Storage(
  bucket: TestBucket,
  options: Partial<S3StorageOptions> = {},
): Promise<ObjectStorage> {
  const { endpoint, accessKeyId, secretAccessKey } = bucket;
  return createObjectStorage({
    kind: 's3',
    bucket: bucket.bucket,
    region: 'us-east-1',
    endpoint,
    accessKeyId,
    secretAccessKey,
    forcePathStyle: true,
    ...options,
  });
}

/** The apps' settings for it. */
export function s3Settings({ bucket, endpoint, accessKeyId, secretAccessKey }: TestBucket) {
  return {
    S3_BUCKET: bucket,
    S3_ENDPOINT: endpoint,
    S3_ACCESS_KEY_ID: accessKeyId,
    S3_SECRET_ACCESS_KEY: secretAccessKey,
  };
}

function createMinioClient({ endpoint, accessKeyId, secretAccessKey }: S3Server): Client {
  const { protocol, hostname, port } = new URL(endpoint);
  return new Client({
    endPoint: hostname,
    port: Number(port) || (protocol === 'https:' ? 443 : 80),
    useSSL: protocol === 'https:',
    accessKey: accessKeyId,
    secretKey: secretAccessKey,
    pathStyle: true,
    region: 'us-east-1',
  });
}

/** A bucket of the test's own. */
export async function createBucket(server: S3Server): Promise<TestBucket> {
  const minioClient = createMinioClient(server);
  const bucket = `millrace-test-${randomUUID()}`;
  await minioClient.makeBucket(bucket);
  return {
    ...server,
    bucket,
    minioClient,
    async listKeys() {
      const found: string[] = [];
      for await (const { name } of minioClient.listObjectsV2(bucket, '', true)) found.push(name as string);
      return found;
    },
    async listUnfinishedUploads() {
      const found: string[] = [];
      for await (const { key } of minioClient.listIncompleteUploads(bucket, '', true))
        found.push(key as string);
      return found;
    },
    read: async (key) => buffer(await minioClient.getObject(bucket, key)),
    async remove() {
      await emptyBucket(server, bucket);
      await minioClient.removeBucket(bucket);
    },
  };
}

/** By the SDK itself: minio's listing takes the key `0` for none. */
async function emptyBucket(
  { endpoint, accessKeyId, secretAccessKey }: S3Server,
  Bucket: string,
): Promise<void> {
  const credentials = { accessKeyId, secretAccessKey };
  const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials });
  for (;;) {
    const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket }));
    if (Contents.length === 0) break;
    const Objects = Contents.map(({ Key }) => ({ Key }));
    await client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } }));
  }
  client.destroy();
}
