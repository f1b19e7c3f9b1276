/** The API's address, and the services that Millrace uses: Postgres, Redis and S3. */
import { boolean, filePath, httpPort, integer, oneOf, originList, text, url } from './types.ts';

export const minSecretLength = 32;

export const apiSettings = {
  MILLRACE_HOME: filePath()
    .default('.millrace')
    .describe('Data folder. It holds the embedded Postgres, the files and credentials.json.'),
  HOST: text
    .default('127.0.0.1')
    .describe('Address that the API listens on. Set 0.0.0.0 to listen on all interfaces.'),
  PORT: httpPort(0).default(3_000).describe('Port that the API listens on.'),
  PUBLIC_URL: url('http', 'https')
    .optional()
    .describe('URL under which clients reach the API. Signed URLs start with it. Unset: from HOST and PORT.'),
  MILLRACE_SECRET: text
    .min(minSecretLength, `must be ${minSecretLength} characters or longer`)
    .optional()
    .describe(
      'Secret that signs URLs and encrypts webhook secrets. Must be the same on all machines. Unset: created once and stored in the data folder.',
    ),
  CORS_ORIGINS: originList().describe(
    'Origins of browser pages that may call the API and its sockets, separated by commas. Set * to allow any.',
  ),
};

export const databaseSettings = {
  DATABASE_URL: url('postgres', 'postgresql')
    .optional()
    .describe('Postgres 15 or newer. Unset: an embedded Postgres in the data folder.'),
  REDIS_URL: url('redis', 'rediss')
    .optional()
    .describe(
      'Redis 6.2 or newer for the queue, with maxmemory-policy noeviction and AOF. Unset: the queue is in Postgres.',
    ),
  DATABASE_POOL: integer(2, 100).default(6).describe('Maximum connections of each process to Postgres.'),
};

export const storageSettings = {
  S3_BUCKET: text
    .regex(/^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$/, 'must be the name of a bucket')
    .optional()
    .describe('Bucket for files. Millrace must be its only user. Unset: files are in the data folder.'),
  S3_ENDPOINT: url('http', 'https')
    .optional()
    .describe('S3 server, reachable by the API, the workers and the users of signed URLs. Unset: AWS.'),
  S3_REGION: text
    .regex(/^[a-z0-9-]+$/, 'must be the name of a region')
    .default('us-east-1')
    .describe('Region of the bucket.'),
  S3_ACCESS_KEY_ID: text
    .optional()
    .describe(
      'Access key that may read, write, list and delete objects. Unset: the AWS SDK finds its own credentials, e.g. a role or a profile.',
    ),
  S3_SECRET_ACCESS_KEY: text.optional().describe('Secret of the access key.'),
  S3_FORCE_PATH_STYLE: boolean()
    .optional()
    .describe('Put the bucket in the URL path instead of the host name. Unset: true if S3_ENDPOINT is set.'),
  S3_CHECKSUMS: oneOf(['when_required', 'when_supported'])
    .default('when_required')
    .describe(
      'when_supported also sends a CRC-32 checksum, in addition to SHA-256 and MD5. AWS stores it; some servers reject it.',
    ),
};
