/** Who calls: the workspace and key of a request or a socket, and what they may do. */
import {
  isInstancePermission,
  permissionNames,
  permissions,
  type Permission,
  type Role,
} from '@millrace/contracts';
import type { ApiKeyOwner } from '#database';
import { Forbidden } from '#domain';

export interface Caller {
  readonly workspaceId: string;
  readonly keyId: string;
  /** The user who created the key. Null: that user was deleted. */
  readonly userId: string | null;
  /** The user's role in the workspace. Null: the user is not a member of it. */
  readonly role: Role | null;
  readonly scopes: ReadonlySet<Permission>;
}

const workspaceScopes: ReadonlySet<Permission> = new Set(
  permissionNames.filter((permission) => !isInstancePermission(permission)),
);
const instanceScopes: ReadonlySet<Permission> = new Set(permissionNames);

/** An API key has every permission of its workspace, not only those of its creator. */
export function toCaller({ operatesInstance, ...owner }: ApiKeyOwner): Caller {
  return { ...owner, scopes: operatesInstance ? instanceScopes : workspaceScopes };
}

export const hasPermission = ({ scopes }: Pick<Caller, 'scopes'>, permission: Permission): boolean =>
  scopes.has(permission);

/** @throws Forbidden `permission_denied`, or `operators_only` for what all workspaces share. */
export function assertPermission(caller: Pick<Caller, 'scopes'>, permission: Permission): void {
  if (hasPermission(caller, permission)) return;
  const { title } = permissions[permission];
  if (isInstancePermission(permission)) {
    throw new Forbidden(
      `Only the workspace that runs this deployment has the permission \`${permission}\` (${title}).`,
      { code: 'operators_only' },
    );
  }
  throw new Forbidden(`This API key does not have the permission \`${permission}\` (${title}).`, {
    code: 'permission_denied',
  });
}
