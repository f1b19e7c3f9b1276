/** API keys, and the first workspace with its owner. */
import { createId } from '@millrace/contracts';
import type { Database } from '../database.ts';
import type { MembershipRow } from '../entities/index.ts';
import { prepareStatement } from '../prepared-statement.ts';

/** The workspace and the user of an API key. The API builds its `Caller` from it. */
export interface ApiKeyOwner {
  readonly workspaceId: string;
  readonly keyId: string;
  /** The user who created the key; null for a key without a creator. */
  readonly userId: string | null;
  /** That user's role in the workspace; null if the user is no member. */
  readonly role: MembershipRow['role'] | null;
  /** The key's workspace operates the instance (see docs/decisions/0009). */
  readonly operatesInstance: boolean;
}

export interface FirstAdmin {
  readonly email: string;
  readonly passwordHash: string;
}

export interface NewKey {
  readonly name: string;
  readonly prefix: string;
  /** SHA-256 of the whole key. */
  readonly hash: Buffer;
}

const findByKeyHash = prepareStatement(
  'find-by-key-hash',
  `select k.workspace_id as "workspaceId", k.id as "keyId", k.created_by as "userId", m.role,
     w.operates_instance as "operatesInstance"
   from api_keys k join workspaces w on w.id = k.workspace_id left join users u on u.id = k.created_by
     left join memberships m on m.workspace_id = k.workspace_id and m.user_id = k.created_by
   where k.hash = $1 and k.revoked_at is null and (k.expires_at is null or k.expires_at > now())
     and u.disabled_at is null`,
);

export class AccessStore {
  constructor(private readonly database: Database) {}

  /** Creates the first workspace, its owner and an API key. @returns false if a user exists already. */
  createFirstWorkspace(admin: FirstAdmin, key: NewKey): Promise<boolean> {
    return this.database.asSystem(async (transaction) => {
      // Two API processes may start at once: the second waits here, and then finds the first one's user.
      await transaction.rows(`select pg_advisory_xact_lock(hashtext('millrace.first'))`);
      const [found] = await transaction.rows<{ n: number }>('select count(*) as n from users');
      if (found!.n > 0) return false;
      const workspaceId = createId('workspace');
      const userId = createId('user');
      await transaction.execute(
        `insert into workspaces (id, name, operates_instance) values ($1, 'Default', true)`,
        [workspaceId],
      );
      await transaction.execute('insert into users (id, email, password_hash) values ($1, $2, $3)', [
        userId,
        admin.email,
        admin.passwordHash,
      ]);
      await transaction.execute(
        `insert into memberships (workspace_id, user_id, role) values ($1, $2, 'owner')`,
        [workspaceId, userId],
      );
      await transaction.execute(
        'insert into api_keys (id, workspace_id, created_by, name, prefix, hash) values ($1, $2, $3, $4, $5, $6)',
        [createId('apiKey'), workspaceId, userId, key.name, key.prefix, key.hash],
      );
      return true;
    });
  }

  async hasUsers(): Promise<boolean> {
    const [found] = await this.database.rows<{ any: boolean }>('select exists (select from users) as any');
    return found!.any;
  }

  /**
   * Creates a key of the workspace that operates the instance, created by its owner.
   * @returns false if there is no such workspace, or all its owners are disabled
   */
  createAdminKey(key: NewKey): Promise<boolean> {
    return this.database.asSystem(async (transaction) => {
      const created = await transaction.rows(
        `insert into api_keys (id, workspace_id, created_by, name, prefix, hash)
         select $1, w.id, u.id, $2, $3, $4
         from workspaces w join memberships m on m.workspace_id = w.id and m.role = 'owner'
           join users u on u.id = m.user_id and u.disabled_at is null
         where w.operates_instance order by u.created_at limit 1
         returning id`,
        [createId('apiKey'), key.name, key.prefix, key.hash],
      );
      return created.length > 0;
    });
  }

  /** @returns the key's owner; null if the key is unknown, expired or revoked, or its creator is disabled. */
  async findByKeyHash(hash: Buffer): Promise<ApiKeyOwner | null> {
    const [owner] = await this.database.prepared<ApiKeyOwner>(findByKeyHash, [hash]);
    return owner ?? null;
  }

  /** Records when a key was used, at most once a minute: more would cost a write per request. */
  async recordKeyUse(keyId: string): Promise<void> {
    await this.database.rows(
      `update api_keys set last_used_at = now()
       where id = $1 and (last_used_at is null or last_used_at < now() - interval '1 minute')`,
      [keyId],
    );
  }
}
