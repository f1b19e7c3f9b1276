/** Who may call, which workers there are, and the scope that statements run in. */
import { randomBytes } from 'node:crypto';
import { buildIdleState, createStoresFixture, type StoresFixture } from './stores-fixture.ts';

let house: StoresFixture;
beforeAll(async () => {
  house = await createStoresFixture();
});
afterAll(() => house?.close());

test('of many first starts at once one makes the workspace, the admin and the key', async () => {
  const starts = Array.from({ length: 6 }, (_, at) => ({
    hash: randomBytes(32),
    email: `admin-${at}@millrace.local`,
  }));
  const made = await Promise.all(
    starts.map(({ hash, email }) =>
      house.access.createFirstWorkspace({ email, passwordHash: 'x' }, { name: 'k', prefix: 'mr_x', hash }),
    ),
  );
  expect(made.filter(Boolean)).toHaveLength(1);
  const callers = await Promise.all(starts.map(({ hash }) => house.access.findByKeyHash(hash)));
  expect(callers.map(Boolean)).toEqual(made);
  const caller = callers.find(Boolean)!;
  expect(caller).toEqual({
    workspaceId: expect.stringMatching(/^ws_/),
    keyId: expect.stringMatching(/^key_/),
    operates: true,
  });
  const [member] = await house.database.rows('select role, workspace_id as "workspaceId" from memberships');
  expect(member).toEqual({ role: 'owner', workspaceId: caller.workspaceId });
});

test('a key that was revoked, has expired, or whose maker is disabled opens nothing', async () => {
  const workspaceId = await house.workspace();
  await house.database.rows(`insert into users (id, email, password_hash) values ('user_x', 'x@x', 'x')`);
  const insert = async (over: string) => {
    const hash = randomBytes(32);
    await house.database.rows(
      `insert into api_keys (id, workspace_id, created_by, name, prefix, hash) values ($1, $2, 'user_x', 'k', 'mr_x', $3)`,
      [hash.toString('hex'), workspaceId, hash],
    );
    if (over) await house.database.rows(`update api_keys set ${over} where hash = $1`, [hash]);
    return hash;
  };
  const good = await insert('');
  const later = await insert(`expires_at = now() + interval '1 hour'`);
  for (const hash of [good, later])
    expect(await house.access.findByKeyHash(hash)).toMatchObject({ workspaceId });
  for (const over of ['revoked_at = now()', `expires_at = now() - interval '1 second'`]) {
    expect(await house.access.findByKeyHash(await insert(over))).toBeNull();
  }
  expect(await house.access.findByKeyHash(randomBytes(32))).toBeNull();
  const keyId = good.toString('hex');
  await house.access.recordKeyUse(keyId);
  const used = () =>
    house.database.rows<{ at: Date }>('select last_used_at as at from api_keys where id = $1', [keyId]);
  const [first] = await used();
  await house.access.recordKeyUse(keyId);
  expect(await used()).toEqual([first]);
  await house.database.rows(`update users set disabled_at = now() where id = 'user_x'`);
  expect(await house.access.findByKeyHash(good)).toBeNull();
});

test('a worker is seen while it beats, told of batches that are closing, and forgotten in the end', async () => {
  const self = { id: 'worker-a', pools: ['remote'], slots: 2, host: 'h', pid: 7, version: '1.2.3' };
  const workspaceId = await house.workspace();
  const batchId = await house.planned(workspaceId, 1);
  const [delivery] = await house.chunks.dispatch(8, 100);
  await house.chunks.claim(delivery!, self.id);
  expect(await house.workers.recordHeartbeat(self, buildIdleState())).toEqual([]);
  await house.batches.cancel(workspaceId, batchId);
  expect(await house.workers.recordHeartbeat(self, buildIdleState({ consuming: false }))).toEqual([batchId]);
  expect(await house.workers.recordHeartbeat({ ...self, id: 'worker-b' }, buildIdleState())).toEqual([]);
  expect(await house.workers.listAlive(10)).toEqual([
    expect.objectContaining({ ...self, ...buildIdleState(), consuming: false }),
    expect.objectContaining({ ...self, ...buildIdleState(), id: 'worker-b' }),
  ]);
  await house.workers.remove('worker-b');
  await house.database.rows(`update workers set seen_at = now() - interval '2 hours'`);
  expect(await house.workers.listAlive(10)).toEqual([]);
  await house.workers.deleteExpired(3_600);
  expect(await house.database.rows('select 1 from workers')).toEqual([]);
});

test('a transaction knows its workspace, and the next on the same connection knows nothing of it', async () => {
  const scope = `select current_setting('millrace.workspace', true) as scope`;
  expect(await house.database.withWorkspace('ws_1', (tx) => tx.query(scope))).toEqual([{ scope: 'ws_1' }]);
  expect(await house.database.asSystem((tx) => tx.query(scope))).toEqual([{ scope: '*' }]);
  for (const { scope: left } of await house.database.rows<{ scope: string | null }>(scope))
    expect(left ?? '').toBe('');
});

test('a transaction that throws changes nothing', async () => {
  const failing = house.database.asSystem(async (tx) => {
    await tx.query(`insert into workspaces (id, name) values ('ws_gone', 'x')`);
    throw new Error('no');
  });
  await expect(failing).rejects.toThrow('no');
  expect(await house.database.rows(`select 1 from workspaces where id = 'ws_gone'`)).toEqual([]);
});
