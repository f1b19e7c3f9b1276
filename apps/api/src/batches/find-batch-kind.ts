/** Finds the kind of a batch: its endpoint determines it or, if that runs several kinds, the first line of the input. */
import { taskRequest, type CreateBatchBody } from '@millrace/contracts';
import { buildTaskBody, kindIds, findKind, tasksPath, type KindId } from '#catalogue';
import type { FileStore } from '#database';
import { explainNotJsonLines, InvalidInput } from '#domain';
import { findEndpoint, openAiEndpoints } from '#openai-endpoints';
import type { Providers } from '#providers';
import { readSegments, type ObjectStorage } from '#storage';
import { toInvalidInput } from '../http/schema.pipe.ts';
import { chooseKind } from '../tasks/choose-kind.ts';

export interface FindBatchKindDeps {
  readonly files: Pick<FileStore, 'get' | 'listSegments'>;
  readonly objects: ObjectStorage;
  readonly providers: Providers;
  readonly lineMaxBytes: number;
}

/** @param fileId the input file; undefined if the lines came with the request. @throws InvalidInput, NotFound */
export async function findBatchKind(
  workspaceId: string,
  { endpoint: path, requests }: CreateBatchBody,
  fileId: string | undefined,
  deps: FindBatchKindDeps,
): Promise<KindId> {
  const endpoint = findEndpoint(path);
  if (!endpoint && path !== tasksPath) {
    const paths = [...openAiEndpoints.map((each) => each.path), tasksPath].join(', ');
    throw new InvalidInput(`Batches do not support this endpoint. Use one of: ${paths}.`, {
      param: 'endpoint',
    });
  }
  if (endpoint?.kinds.length === 1) return endpoint.kinds[0];
  const body: unknown = requests ? requests[0]!.body : await readFirstBody(workspaceId, fileId!, deps);
  if (endpoint) return endpoint.chooseKind((body ?? {}) as Record<string, unknown>);
  return findTaskKind(workspaceId, body, deps.providers);
}

/** @param body of a line whose endpoint is `/v1/tasks`. */
function findTaskKind(workspaceId: string, body: unknown, providers: Providers): KindId {
  const parsed = taskRequest.safeParse(body);
  if (!parsed.success) throw toInvalidInput(parsed.error.issues, { prefix: 'the first line: ' });
  const { kind, model } = parsed.data;
  if (kind === 'auto') return chooseKind(workspaceId, model, buildTaskBody(parsed.data), providers);
  if (findKind(kind)) return kind as KindId;
  throw new InvalidInput(`The first line has an unknown kind. Use one of: ${kindIds.join(', ')}.`, {
    code: 'unknown_kind',
    param: 'kind',
  });
}

/** Reads only as much of the file as its first line needs. */
async function readFirstBody(workspaceId: string, fileId: string, deps: FindBatchKindDeps): Promise<unknown> {
  await deps.files.get(workspaceId, fileId);
  const segments = await deps.files.listSegments(workspaceId, fileId);
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of readSegments(deps.objects, segments) as AsyncIterable<Buffer>) {
    parts.push(part);
    bytes += part.length;
    if (part.includes(0x0a) || bytes > deps.lineMaxBytes) break;
  }
  const [line = ''] = Buffer.concat(parts)
    .toString()
    .replace(/^\ufeff/, '')
    .trimStart()
    .split('\n', 1);
  try {
    const value: unknown = JSON.parse(line);
    if (!Array.isArray(value)) return (value as { body?: unknown } | null)?.body;
  } catch {
    // Below.
  }
  throw new InvalidInput(explainNotJsonLines(line) ?? 'The first line of the input is not JSON.', {
    code: 'invalid_json_line',
  });
}
