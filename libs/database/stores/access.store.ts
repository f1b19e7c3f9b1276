/** Who may call: the first workspace with its admin and key, and the look-up of a key at each request. */
import { newId } from '@millrace/contracts';
import type { Database } from '../database.ts';
import { prepareStatement } from '../prepared-statement.ts';

export interface Caller {
  readonly workspaceId: string;
  readonly keyId: string;
  /** Its workspace runs the deployment (see docs/decisions/0009). */
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

const findCaller = prepareStatement(
  'find-caller',
  `select k.workspace_id as "workspaceId", k.id as "keyId", w.operates
   from api_keys k join workspaces w on w.id = k.workspace_id left join users u on u.id = k.created_by
   where k.hash = $1 and k.revoked_at is null and (k.expires_at is null or k.expires_at > now())
     and u.disabled_at is null`,
);

export class AccessStore {
  constructor(private readonly database: Database) {}

  /** Makes the first workspace, its owner and a key. @returns false where a user exists already. */
  createFirstWorkspace(admin: FirstAdmin, key: NewKey): Promise<boolean> {
    return this.database.asSystem(async (tx) => {
      // Two API processes may start at once; the second waits here and then finds the first one's user.
      await tx.query(`select pg_advisory_xact_lock(hashtext('millrace.first'))`);
      const [found] = await tx.query<{ n: number }[]>('select count(*) as n from users');
      if (found!.n > 0) return false;
      const workspaceId = newId('workspace');
      const userId = newId('user');
      await tx.query(`insert into workspaces (id, name, operates) values ($1, 'Default', true)`, [
        workspaceId,
      ]);
      await tx.query('insert into users (id, email, password_hash) values ($1, $2, $3)', [
        userId,
        admin.email,
        admin.passwordHash,
      ]);
      await tx.query(`insert into memberships (workspace_id, user_id, role) values ($1, $2, 'owner')`, [
        workspaceId,
        userId,
      ]);
      await tx.query(
        'insert into api_keys (id, workspace_id, created_by, name, prefix, hash) values ($1, $2, $3, $4, $5, $6)',
        [newId('apiKey'), workspaceId, userId, key.name, key.prefix, key.hash],
      );
      return true;
    });
  }

  /** @returns whose key this is; null where it is unknown, expired or revoked, or its maker is disabled. */
  async findByKeyHash(hash: Buffer): Promise<Caller | null> {
    const [caller] = await this.database.prepared<Caller>(findCaller, [hash]);
    return caller ?? null;
  }

  /** Notes that a key was used, to the minute: more would cost a write at each request. */
  async recordKeyUse(keyId: string): Promise<void> {
    await this.database.rows(
      `update api_keys set last_used_at = now()
       where id = $1 and (last_used_at is null or last_used_at < now() - interval '1 minute')`,
      [keyId],
    );
  }
}
