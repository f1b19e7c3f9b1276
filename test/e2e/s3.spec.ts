/** A batch whose objects are in an S3 bucket: the objects while it exists, and none after it was deleted. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createBucket, describeOnS3, s3Settings, type TestBucket } from '../support/s3.ts';
import { startPlatform, waitUntil, type Platform } from '../support/platform.ts';
import { waitForBatch, toJsonl, buildLine, createBatch } from './support/batch-lines.ts';

describeOnS3('a batch on S3', (server) => {
  let bucket: TestBucket;
  let platform: Platform;
  beforeAll(async () => {
    bucket = await createBucket(server);
    platform = await startPlatform({ bucket });
  });
  afterAll(async () => {
    await platform?.stop();
    await bucket?.remove();
  });

  test('is uploaded in parts, completes, is downloaded, and leaves no object when it is deleted', async () => {
    const { client } = platform;
    const lines = Array.from({ length: 20_000 }, (_, at) =>
      buildLine(`line-${at}`, { input: `${at} `.padEnd(400, 'the mill turns ') }),
    );
    const batch = await waitForBatch(
      client,
      (await createBatch(client, toJsonl([...lines, buildLine('bad', { input: 7 })]))).id,
      120_000,
    );
    expect([batch.status, batch.request_counts]).toEqual([
      'completed',
      { total: 20_001, completed: 20_000, failed: 1 },
    ]);

    const output = await (await client.files.content(batch.output_file_id!)).text();
    const found = output
      .trimEnd()
      .split('\n')
      .map((each) => (JSON.parse(each) as { custom_id: string }).custom_id);
    expect(found.toSorted()).toEqual(lines.map(({ custom_id }) => custom_id).toSorted());

    const keys = await bucket.listKeys();
    const input = keys.find((key) => key.includes(batch.input_file_id))!;
    expect((await bucket.minioClient.statObject(bucket.bucket, input)).etag).toMatch(/-2$/); // two parts
    const [first, ...others] = keys.filter((key) => key !== input);
    expect([typeof first, others.length > 0, await bucket.listUnfinishedUploads()]).toEqual([
      'string',
      true,
      [],
    ]);

    const ids = [batch.input_file_id, batch.output_file_id, batch.error_file_id];
    for (const id of ids) await client.files.delete(id!);
    await waitUntil(async () => (await bucket.listKeys()).length === 0, {
      what: 'the bucket to be empty',
      withinMs: 20_000,
    });
    expect(platform.output()).not.toContain(bucket.secretAccessKey);
  });

  test.each([
    [
      'a bucket that does not exist',
      { S3_BUCKET: 'millrace-none' },
      /S3_BUCKET: the bucket 'millrace-none' at \S+ does not exist\. Create it/,
    ],
    [
      'a wrong secret',
      { S3_SECRET_ACCESS_KEY: 'hunter2-hunter2' },
      /does not accept the credentials.*S3_SECRET_ACCESS_KEY/,
    ],
    [
      'a missing secret',
      { S3_SECRET_ACCESS_KEY: '' },
      /S3_SECRET_ACCESS_KEY: not set, though S3_ACCESS_KEY_ID is/,
    ],
  ])('%s: both processes exit with a message', async (_, settings, message) => {
    for (const script of ['api/src/main.js', 'worker/src/main.js']) {
      const child = spawn(
        process.execPath,
        [fileURLToPath(new URL(`../../dist/apps/${script}`, import.meta.url))],
        {
          env: {
            PATH: process.env['PATH'],
            DATABASE_URL: platform.databaseUrl,
            MILLRACE_HOME: platform.home,
            PORT: '0',
            ...s3Settings(bucket),
            ...settings,
          },
        },
      );
      let output = '';
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (text: Buffer) => (output += text.toString()));
      const [code] = (await once(child, 'close')) as [number];
      expect([code, output]).toEqual([expect.any(Number), expect.stringMatching(message)]);
      expect(code).toBeGreaterThan(0);
      expect(output).not.toContain('hunter2');
    }
  });
});
