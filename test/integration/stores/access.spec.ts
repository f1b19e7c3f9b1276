/** Who may call, which workers there are, and the scope that statements run in. */
import { randomBytes } from 'node:crypto';
import { idle, openHouse, type House } from './house.ts';

let house: House;
beforeAll(async () => {
  house = await openHouse();
});
afterAll(() => house?.close());

test('of many first starts at once one makes the workspace, the admin and the key', async () => {
  const starts = Array.from({ length: 6 }, (_, at) => ({
    hash: randomBytes(32),
    email: `admin-${at}@millrace.local`,
  }));
  const made = await Promise.all(
    starts.map(({ hash, email }) =>
      house.access.createFirst({ email, passwordHash: 'x' }, { name: 'k', prefix: 'mr_x', hash }),
    ),
  );
  expect(made.filter(Boolean)).toHaveLength(1);
  const callers = await Promise.all(starts.map(({ hash }) => house.access.findCaller(hash)));
  expect(callers.map(Boolean)).toEqual(made);
  const caller = callers.find(Boolean)!;
  expect(caller).toEqual({
    workspaceId: expect.stringMatching(/^ws_/),
    keyId: expect.stringMatching(/^key_/),
    operates: true,
  });
  const [member] = await house.database.statement(
    'select role, workspace_id as "workspaceId" from memberships',
  );
  expect(member).toEqual({ role: 'owner', workspaceId: caller.workspaceId });
});

test('a key that was revoked, has expired, or whose maker is disabled opens nothing', async () => {
  const workspaceId = await house.workspace();
  await house.database.statement(
    `insert into users (id, email, password_hash) values ('user_x', 'x@x', 'x')`,
  );
  const insert = async (over: string) => {
    const hash = randomBytes(32);
    await house.database.statement(
      `insert into api_keys (id, workspace_id, created_by, name, prefix, hash) values ($1, $2, 'user_x', 'k', 'mr_x', $3)`,
      [hash.toString('hex'), workspaceId, hash],
    );
    if (over) await house.database.statement(`update api_keys set ${over} where hash = $1`, [hash]);
    return hash;
  };
  const good = await insert('');
  const later = await insert(`expires_at = now() + interval '1 hour'`);
  for (const hash of [good, later])
    expect(await house.access.findCaller(hash)).toMatchObject({ workspaceId });
  for (const over of ['revoked_at = now()', `expires_at = now() - interval '1 second'`]) {
    expect(await house.access.findCaller(await insert(over))).toBeNull();
  }
  expect(await house.access.findCaller(randomBytes(32))).toBeNull();
  const keyId = good.toString('hex');
  await house.access.touchKey(keyId);
  const used = () =>
    house.database.statement<{ at: Date }>('select last_used_at as at from api_keys where id = $1', [keyId]);
  const [first] = await used();
  await house.access.touchKey(keyId);
  expect(await used()).toEqual([first]);
  await house.database.statement(`update users set disabled_at = now() where id = 'user_x'`);
  expect(await house.access.findCaller(good)).toBeNull();
});

test('a worker is seen while it beats, told of batches that are closing, and forgotten in the end', async () => {
  const self = { id: 'worker-a', pools: ['remote'], slots: 2, host: 'h', pid: 7, version: '1.2.3' };
  const workspaceId = await house.workspace();
  const batchId = await house.planned(workspaceId, 1);
  const [delivery] = await house.chunks.dispatch(8, 100);
  await house.chunks.claim(delivery!, self.id);
  expect(await house.workers.beat(self, idle())).toEqual([]);
  await house.batches.cancel(workspaceId, batchId);
  expect(await house.workers.beat(self, idle({ consuming: false }))).toEqual([batchId]);
  expect(await house.workers.beat({ ...self, id: 'worker-b' }, idle())).toEqual([]);
  expect(await house.workers.seen(10)).toEqual([
    expect.objectContaining({ ...self, ...idle(), consuming: false }),
    expect.objectContaining({ ...self, ...idle(), id: 'worker-b' }),
  ]);
  await house.workers.leave('worker-b');
  await house.database.statement(`update workers set seen_at = now() - interval '2 hours'`);
  expect(await house.workers.seen(10)).toEqual([]);
  await house.workers.forget(3_600);
  expect(await house.database.statement('select 1 from workers')).toEqual([]);
});

test('a transaction knows its workspace, and the next on the same connection knows nothing of it', async () => {
  const scope = `select current_setting('millrace.workspace', true) as scope`;
  expect(await house.database.withWorkspace('ws_1', (tx) => tx.query(scope))).toEqual([{ scope: 'ws_1' }]);
  expect(await house.database.asSystem((tx) => tx.query(scope))).toEqual([{ scope: '*' }]);
  for (const { scope: left } of await house.database.statement<{ scope: string | null }>(scope))
    expect(left ?? '').toBe('');
});

test('a transaction that throws changes nothing', async () => {
  const failing = house.database.asSystem(async (tx) => {
    await tx.query(`insert into workspaces (id, name) values ('ws_gone', 'x')`);
    throw new Error('no');
  });
  await expect(failing).rejects.toThrow('no');
  expect(await house.database.statement(`select 1 from workspaces where id = 'ws_gone'`)).toEqual([]);
});
