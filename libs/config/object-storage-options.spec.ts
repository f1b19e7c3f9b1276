import { loadConfig } from './config.ts';
import { buildObjectStorageOptions } from './object-storage-options.ts';

const MILLRACE_SECRET = 'a secret of thirty-two characters or more';
const buildOptions = (env: Record<string, string>) =>
  buildObjectStorageOptions({ ...loadConfig(env), MILLRACE_SECRET });

test('without a bucket: a folder in the data folder, with URLs of the API', () => {
  expect(buildOptions({ MILLRACE_HOME: '/data', PORT: '81', HOST: '0.0.0.0' })).toEqual({
    kind: 'disk',
    root: '/data/objects',
    signing: { baseUrl: 'http://127.0.0.1:81', secret: MILLRACE_SECRET },
  });
  expect(buildOptions({ PUBLIC_URL: 'https://millrace.example/' })).toMatchObject({
    signing: { baseUrl: 'https://millrace.example' },
  });
});

test('with a bucket: S3, with virtual hosts on AWS and the bucket in the path elsewhere', () => {
  expect(buildOptions({ S3_BUCKET: 'files', S3_REGION: 'eu-central-1' })).toEqual({
    kind: 's3',
    bucket: 'files',
    region: 'eu-central-1',
    forcePathStyle: false,
    checksums: 'when_required',
  });
  const otherServer = {
    S3_BUCKET: 'files',
    S3_ENDPOINT: 'http://minio:9000',
    S3_ACCESS_KEY_ID: 'key',
    S3_SECRET_ACCESS_KEY: 'secret',
    S3_CHECKSUMS: 'when_supported',
  };
  expect(buildOptions(otherServer)).toMatchObject({
    endpoint: 'http://minio:9000',
    accessKeyId: 'key',
    secretAccessKey: 'secret',
    forcePathStyle: true,
    checksums: 'when_supported',
  });
  expect(buildOptions({ ...otherServer, S3_FORCE_PATH_STYLE: 'false' })).toMatchObject({
    forcePathStyle: false,
  });
});
