/** API keys, workers, and the scope of transactions. */
import { randomBytes } from 'node:crypto';
import { buildIdleState, createStoresFixture, type StoresFixture } from './stores-fixture.ts';

let fixture: StoresFixture;
beforeAll(async () => {
  fixture = await createStoresFixture();
});
afterAll(() => fixture?.close());

test('of many first starts at once, one creates the workspace, the admin and the key', async () => {
  const starts = Array.from({ length: 6 }, (_, at) => ({
    hash: randomBytes(32),
    email: `admin-${at}@millrace.local`,
  }));
  const created = await Promise.all(
    starts.map(({ hash, email }) =>
      fixture.access.createFirstWorkspace({ email, passwordHash: 'x' }, { name: 'k', prefix: 'mr_x', hash }),
    ),
  );
  expect(created.filter(Boolean)).toHaveLength(1);
  const callers = await Promise.all(starts.map(({ hash }) => fixture.access.findByKeyHash(hash)));
  expect(callers.map(Boolean)).toEqual(created);
  const caller = callers.find(Boolean)!;
  expect(caller).toEqual({
    workspaceId: expect.stringMatching(/^ws_/),
    keyId: expect.stringMatching(/^key_/),
    operatesInstance: true,
    userId: expect.stringMatching(/^user_/),
    role: 'owner',
  });
  const [member] = await fixture.database.rows('select role, workspace_id as "workspaceId" from memberships');
  expect(member).toEqual({ role: 'owner', workspaceId: caller.workspaceId });
});

test('a key that was revoked, has expired, or whose creator is disabled is not accepted', async () => {
  const workspaceId = await fixture.createWorkspace();
  await fixture.database.rows(`insert into users (id, email, password_hash) values ('user_x', 'x@x', 'x')`);
  const insertKey = async (change: string) => {
    const hash = randomBytes(32);
    await fixture.database.rows(
      `insert into api_keys (id, workspace_id, created_by, name, prefix, hash) values ($1, $2, 'user_x', 'k', 'mr_x', $3)`,
      [hash.toString('hex'), workspaceId, hash],
    );
    if (change) await fixture.database.rows(`update api_keys set ${change} where hash = $1`, [hash]);
    return hash;
  };
  const good = await insertKey('');
  const later = await insertKey(`expires_at = now() + interval '1 hour'`);
  for (const hash of [good, later])
    expect(await fixture.access.findByKeyHash(hash)).toMatchObject({ workspaceId });
  for (const change of ['revoked_at = now()', `expires_at = now() - interval '1 second'`]) {
    expect(await fixture.access.findByKeyHash(await insertKey(change))).toBeNull();
  }
  expect(await fixture.access.findByKeyHash(randomBytes(32))).toBeNull();
  const keyId = good.toString('hex');
  await fixture.access.recordKeyUse(keyId);
  const readLastUse = () =>
    fixture.database.rows<{ at: Date }>('select last_used_at as at from api_keys where id = $1', [keyId]);
  const [first] = await readLastUse();
  await fixture.access.recordKeyUse(keyId);
  expect(await readLastUse()).toEqual([first]);
  await fixture.database.rows(`update users set disabled_at = now() where id = 'user_x'`);
  expect(await fixture.access.findByKeyHash(good)).toBeNull();
});

test('a worker is alive while it sends heartbeats, hears of closing batches, and is deleted in the end', async () => {
  const self = { id: 'worker-a', pools: ['remote'], slots: 2, host: 'h', pid: 7, version: '1.2.3' };
  const workspaceId = await fixture.createWorkspace();
  const batchId = await fixture.createPlannedBatch(workspaceId, 1);
  const [queued] = await fixture.chunkQueue.dispatch(8, 100);
  await fixture.chunks.claim(queued!, self.id);
  expect(await fixture.workers.recordHeartbeat(self, buildIdleState())).toEqual([]);
  await fixture.batches.cancel(workspaceId, batchId);
  expect(await fixture.workers.recordHeartbeat(self, buildIdleState({ consuming: false }))).toEqual([
    batchId,
  ]);
  expect(await fixture.workers.recordHeartbeat({ ...self, id: 'worker-b' }, buildIdleState())).toEqual([]);
  expect(await fixture.workers.listAlive(10)).toEqual([
    expect.objectContaining({ ...self, ...buildIdleState(), consuming: false }),
    expect.objectContaining({ ...self, ...buildIdleState(), id: 'worker-b' }),
  ]);
  await fixture.workers.remove('worker-b');
  await fixture.database.rows(`update workers set seen_at = now() - interval '2 hours'`);
  expect(await fixture.workers.listAlive(10)).toEqual([]);
  await fixture.workers.deleteExpired(3_600);
  expect(await fixture.database.rows('select 1 from workers')).toEqual([]);
});

test('a transaction has its workspace scope, and the next one on the same connection does not', async () => {
  const scope = `select current_setting('millrace.workspace', true) as scope`;
  expect(await fixture.database.withWorkspace('ws_1', (transaction) => transaction.rows(scope))).toEqual([
    { scope: 'ws_1' },
  ]);
  expect(await fixture.database.asSystem((transaction) => transaction.rows(scope))).toEqual([{ scope: '*' }]);
  for (const { scope: left } of await fixture.database.rows<{ scope: string | null }>(scope))
    expect(left ?? '').toBe('');
});

test('a transaction that throws changes nothing', async () => {
  const failing = fixture.database.asSystem(async (transaction) => {
    await transaction.rows(`insert into workspaces (id, name) values ('ws_gone', 'x')`);
    throw new Error('no');
  });
  await expect(failing).rejects.toThrow('no');
  expect(await fixture.database.rows(`select 1 from workspaces where id = 'ws_gone'`)).toEqual([]);
});
