/**
 * Writes, reads and deletes a small object: at start, for a clear message about the bucket or the credentials and to
 * detect whether ETags are MD5s; later for health checks.
 */
import type { ErrorCode } from '@millrace/contracts';
import { createHash, randomUUID } from 'node:crypto';
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
import { Unavailable } from '#domain';
import type { Bucket } from './bucket.ts';
import { deleteKeys } from './delete-keys.ts';
import { getStatus, toStorageError } from './s3-errors.ts';
import { parseMd5 } from './checksums.ts';

/** No key starts with a dot, so objects in this folder can't be read or listed. */
export const hiddenFolder = '.millrace/';

export function createProbeKey(): string {
  return `${hiddenFolder}${randomUUID()}`;
}

export async function probe(bucket: Bucket): Promise<void> {
  const key = createProbeKey();
  const content = Buffer.from(key);
  const { ETag, ...response } = await bucket.client.send(
    new PutObjectCommand({ ...bucket.buildAddress(key), Body: content }),
  );
  try {
    const { Body } = await bucket.client.send(new GetObjectCommand(bucket.buildAddress(key)));
    if (!content.equals(await Body!.transformToByteArray())) {
      throw new Unavailable('The object storage returned other bytes than were written.', {
        code: 'storage_failed',
      });
    }
  } finally {
    await deleteKeys(bucket, [key]);
  }
  bucket.etagFormat.isMd5 = parseMd5(ETag, response) === createHash('md5').update(content).digest('hex');
}

/** @throws Unavailable with one line for the operator: the setting, the server, what is wrong, and what to do. */
export async function assertUsable(bucket: Bucket): Promise<void> {
  try {
    // A listing before the probe: unlike HEAD of the bucket it comes with a body that says what is wrong.
    const { $metadata, Name } = await bucket.client.send(
      new ListObjectsV2Command({ Bucket: bucket.name, Prefix: bucket.prefix, MaxKeys: 1 }),
    );
    // A web server answers every path with a page, in which the SDK finds no fields.
    if (Name === undefined) throw buildNotS3Error($metadata.httpStatusCode);
    await probe(bucket);
  } catch (error) {
    const failure = toStorageError(error);
    const isUnavailable = failure instanceof Unavailable;
    const [problem, remedy] = buildAdvice(failure, bucket, error);
    const server = bucket.endpoint === undefined ? 'AWS' : formatServer(bucket.endpoint);
    throw new Unavailable(`S3_BUCKET: the bucket '${bucket.name}' at ${server} ${problem}. ${remedy}.`, {
      code: isUnavailable ? (failure.code as ErrorCode) : 'storage_failed',
      cause: isUnavailable ? (failure.cause ?? failure) : failure,
    });
  }
}

const buildNotS3Error = (status: number | undefined) =>
  Object.assign(new Error('the answer is no listing of a bucket'), {
    name: 'NotS3',
    $metadata: { httpStatusCode: status },
  });

const formatServer = (endpoint: string) => URL.parse(endpoint)?.host ?? endpoint;

const certificateErrors = /^(CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_TLS_CERT_)/;

/** @returns what is wrong, and what to do. */
function buildAdvice(failure: unknown, { endpoint }: Bucket, error: unknown): readonly [string, string] {
  const { code = '' } = error as { code?: unknown };
  const systemCode = typeof code === 'string' ? code : '';
  if (certificateErrors.test(systemCode)) {
    return [
      `has a TLS certificate that is not trusted (${systemCode})`,
      'Set NODE_EXTRA_CA_CERTS to the file of its certificate authority',
    ];
  }
  if (/EPROTO|ERR_SSL/.test(systemCode)) {
    return ['does not speak TLS', 'Write http:// instead of https:// in S3_ENDPOINT'];
  }
  if (!(failure instanceof Unavailable)) return notS3;
  switch (failure.code) {
    case 'storage_no_bucket':
      return ['does not exist', 'Create it, or set S3_BUCKET to an existing bucket'];
    case 'storage_unreachable':
      if (endpoint?.startsWith('https:') && !/ENOTFOUND|EAI_AGAIN|ECONNREFUSED/.test(systemCode)) {
        return [
          'cannot be reached over TLS',
          'Start the server. If it does not speak TLS, write http:// instead of https:// in S3_ENDPOINT',
        ];
      }
      return /ENOTFOUND|EAI_AGAIN/.test(systemCode)
        ? ['cannot be found: the host name has no address', 'Correct S3_ENDPOINT or S3_REGION']
        : ['cannot be reached', `Start the server, or correct ${endpoint ? 'S3_ENDPOINT' : 'S3_REGION'}`];
    case 'storage_misplaced':
      return ['is in another region than S3_REGION', 'Correct S3_REGION'];
    case 'storage_denied':
      return describeDenial(failure);
    case 'storage_failed':
      return hasStatus(error, 200) || hasStatus(error, 405)
        ? notS3
        : [`fails: ${trimStop(failure.message)}`, 'See its log'];
    default:
      return [`cannot be used: ${trimStop(failure.message)}`, 'Start again when it can'];
  }
}

const notS3 = [
  'does not answer as S3 does',
  "Set S3_ENDPOINT to the address of the server's S3 API, not of its console or a web page",
] as const;

/** The message distinguishes wrong credentials, missing ones and missing permissions. */
function describeDenial({ message }: Unavailable): readonly [string, string] {
  if (/clock/.test(message)) return [`refuses requests: ${trimStop(message)}`, 'Set the clock'];
  if (/no credentials/.test(message)) {
    return [
      'needs credentials',
      'Set S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY, or give this machine a role or a profile',
    ];
  }
  if (/does not accept/.test(message)) {
    return ['does not accept the credentials', 'Correct S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY'];
  }
  return [
    'refuses access',
    'Allow the key of S3_ACCESS_KEY_ID to read, write, list and delete its objects, or set another key',
  ];
}

const hasStatus = (error: unknown, status: number) => getStatus(error) === status;
const trimStop = (message: string) => message.replace(/\.$/, '');
