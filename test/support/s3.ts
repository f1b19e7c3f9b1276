/**
 * The S3 server of the tests, if the environment names one. Its buckets are also read and written with minio's client, so
 * that the adapter is checked against another implementation of the protocol.
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
  /** Keys of all objects in the bucket. */
  listKeys(): Promise<string[]>;
  /** Keys of the multipart uploads that were not completed or aborted. */
  listUnfinishedUploads(): Promise<string[]>;
  read(key: string): Promise<Buffer>;
  /** Deletes the bucket and everything in it. */
  remove(): Promise<void>;
}

/** @returns null, with a warning, if the environment names no server. Throws in CI, which must name one. */
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

/** Defines the suites that need the S3 server. Without one, defines a test that says that they were not run. */
export function describeOnS3(title: string, define: (server: S3Server) => void): void {
  const server = findS3Server();
  if (server) describe(title, () => define(server));
  else test(`NOT RUN: ${title} (no S3 server is configured)`, () => expect(server).toBeNull());
}

/** Opens the object storage as the apps do. */
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

/** The settings of the apps for a bucket. */
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

/** Creates a bucket for one test. */
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

/** With the SDK, because minio's client does not list the key `0`. */
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
