/** More workspaces than the first, each with a key: until the API makes them, the database does. */
import { newId } from '@millrace/contracts';
import { mintApiKey } from '../../apps/api/src/access/api-key.ts';
import type { SqlClient } from './sql.ts';

export async function createWorkspace(sql: SqlClient): Promise<{ workspaceId: string; apiKey: string }> {
  const workspaceId = newId('workspace');
  const { key, prefix, hash } = mintApiKey();
  await sql.rows(`insert into workspaces (id, name) values ($1, 'Another')`, [workspaceId]);
  await sql.rows(
    `insert into api_keys (id, workspace_id, name, prefix, hash) values ($1, $2, 'test', $3, $4)`,
    [newId('apiKey'), workspaceId, prefix, hash],
  );
  return { workspaceId, apiKey: key };
}
