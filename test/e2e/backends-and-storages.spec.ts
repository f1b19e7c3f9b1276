/** The same batches on both queue backends and both object storages: completed, retried, cancelled, and deleted with their objects. */
import { compareStoredObjects } from '../support/compare-stored-objects.ts';
import { startPlatform, waitUntil, type Platform } from '../support/platform.ts';
import { findRedisServer, startRedis, type TestRedis } from '../support/redis.ts';
import { createBucket, findS3Server, type TestBucket } from '../support/s3.ts';
import { connectSql, type SqlClient } from '../support/sql.ts';
import {
  waitForBatch,
  toJsonl,
  buildLine,
  readRecords,
  createBatch,
  type Batch,
} from './support/batch-lines.ts';

const s3 = findS3Server();
const hasRedis = findRedisServer() !== null || process.env['CI'] === 'true';
const backends = ['embedded', ...(hasRedis ? ['redis'] : [])];
const storages = ['disk', ...(s3 ? ['s3'] : [])];
const combinations = backends.flatMap((backend) =>
  storages.map((storage): [string, string] => [backend, storage]),
);

describe.each(combinations)('queue on %s, objects on %s', (backend, storage) => {
  let redis: TestRedis | null = null;
  let bucket: TestBucket | undefined;
  let platform: Platform;
  let sql: SqlClient;
  beforeAll(async () => {
    if (backend === 'redis') redis = await startRedis();
    if (storage === 's3') bucket = await createBucket(s3!);
    platform = await startPlatform({ bucket, workers: 2, ...(redis && { redisUrl: redis.url }) });
    sql = await connectSql(platform.databaseUrl);
  });
  afterAll(async () => {
    await sql?.end();
    await platform?.stop();
    await redis?.dispose();
    await bucket?.remove();
  });

  const input = (count: number, sandbox: object = {}) =>
    Array.from({ length: count }, (_, at) =>
      buildLine(`row-${at}`, { input: `text ${at}`, metadata: { sandbox: JSON.stringify(sandbox) } }),
    );
  const listIds = (records: readonly { custom_id: string }[]) =>
    records.map(({ custom_id }) => custom_id).sort();
  async function readAllRecords(batch: Batch) {
    return [
      ...(await readRecords(platform.client, batch.output_file_id)),
      ...(await readRecords(platform.client, batch.error_file_id)),
    ];
  }
  async function deleteFiles(...batches: Batch[]): Promise<void> {
    for (const { input_file_id, output_file_id, error_file_id } of batches) {
      for (const id of [input_file_id, output_file_id, error_file_id]) {
        if (id) await platform.client.files.delete(id);
      }
    }
  }

  test('batches are completed, retried and cancelled, and deleting their files leaves no object', async () => {
    const { client } = platform;
    const lines = input(2_000, { reject: '99' });
    const first = await waitForBatch(client, (await createBatch(client, toJsonl(lines))).id);
    const rejected = lines.filter(({ custom_id }) => custom_id.includes('99'));
    expect(first).toMatchObject({
      status: 'completed',
      request_counts: { total: 2_000, completed: 2_000 - rejected.length, failed: rejected.length },
    });
    expect(listIds(await readAllRecords(first))).toEqual(listIds(lines));

    const retried = await waitForBatch(client, (await client.post<Batch>(`/batches/${first.id}/retry`)).id);
    expect(retried.request_counts).toMatchObject({ total: rejected.length, failed: rejected.length });

    const slow = input(2_000, { delay_ms: 300 });
    const { id } = await createBatch(client, toJsonl(slow));
    await waitUntil(async () => (await client.batches.retrieve(id)).request_counts!.completed > 0, {
      what: 'the first chunk',
    });
    await client.batches.cancel(id);
    const cancelled = await waitForBatch(client, id);
    expect(cancelled.status).toBe('cancelled');
    expect(listIds(await readAllRecords(cancelled))).toEqual(listIds(slow));
    expect((await compareStoredObjects(platform, sql)).missing).toEqual([]);

    await deleteFiles(first, retried, cancelled);
    await waitUntil(async () => (await platform.objects.listSizes()).size === 0, {
      what: 'object storage to be empty',
      withinMs: 20_000,
    });
    expect(await platform.objects.listUnfinished()).toEqual([]);
  });
});
