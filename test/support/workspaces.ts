/** Creates workspaces besides the first one, each with an API key. The API has no route for it yet. */
import { createId } from '@millrace/contracts';
import { mintApiKey } from '../../apps/api/src/access/api-key.ts';
import type { SqlClient } from './sql.ts';

export async function createWorkspace(sql: SqlClient): Promise<{ workspaceId: string; apiKey: string }> {
  const workspaceId = createId('workspace');
  const { key, prefix, hash } = mintApiKey();
  await sql.rows(`insert into workspaces (id, name) values ($1, 'Another')`, [workspaceId]);
  await sql.rows(
    `insert into api_keys (id, workspace_id, name, prefix, hash) values ($1, $2, 'test', $3, $4)`,
    [createId('apiKey'), workspaceId, prefix, hash],
  );
  return { workspaceId, apiKey: key };
}
