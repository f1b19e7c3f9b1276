import { loadConfig } from './config.ts';
import { storeOptions } from './store-options.ts';

const MILLRACE_SECRET = 'a secret of thirty-two characters or more';
const optionsOf = (env: Record<string, string>) => storeOptions({ ...loadConfig(env), MILLRACE_SECRET });

test('without a bucket: a folder in the data folder, whose addresses the API serves', () => {
  expect(optionsOf({ MILLRACE_HOME: '/data', PORT: '81', HOST: '0.0.0.0' })).toEqual({
    kind: 'disk',
    root: '/data/objects',
    signing: { baseUrl: 'http://127.0.0.1:81', secret: MILLRACE_SECRET },
  });
  expect(optionsOf({ PUBLIC_URL: 'https://millrace.example/' })).toMatchObject({
    signing: { baseUrl: 'https://millrace.example' },
  });
});

test('with one: S3, on AWS with its own ways, elsewhere with the bucket in the path', () => {
  expect(optionsOf({ S3_BUCKET: 'files', S3_REGION: 'eu-central-1' })).toEqual({
    kind: 's3',
    bucket: 'files',
    region: 'eu-central-1',
    forcePathStyle: false,
    checksums: 'when_required',
  });
  const elsewhere = {
    S3_BUCKET: 'files',
    S3_ENDPOINT: 'http://minio:9000',
    S3_ACCESS_KEY_ID: 'key',
    S3_SECRET_ACCESS_KEY: 'secret',
    S3_CHECKSUMS: 'when_supported',
  };
  expect(optionsOf(elsewhere)).toMatchObject({
    endpoint: 'http://minio:9000',
    accessKeyId: 'key',
    secretAccessKey: 'secret',
    forcePathStyle: true,
    checksums: 'when_supported',
  });
  expect(optionsOf({ ...elsewhere, S3_FORCE_PATH_STYLE: 'false' })).toMatchObject({ forcePathStyle: false });
});
