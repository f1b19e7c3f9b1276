/** Which kind a batch is of: its endpoint says so, or where that carries several its first line. */
import {
  endpointAt,
  endpointsOf,
  kindIds,
  kindOf,
  kindOfEndpoint,
  taskBody,
  tasksEndpoint,
  type KindId,
} from '#catalogue';
import { taskRequest, type CreateBatchBody } from '@millrace/contracts';
import type { FileStore } from '#database';
import { InvalidInput } from '#domain';
import type { Providers } from '#providers';
import { readSegments, type ObjectStore } from '#storage';
import { chooseKind } from '../tasks/choose-kind.ts';
import { toInvalidInput } from '../http/schema.pipe.ts';

export interface FindBatchKindDeps {
  readonly files: FileStore;
  readonly objects: ObjectStore;
  readonly providers: Providers;
  readonly lineMaxBytes: number;
}

/** @param fileId of the input, where it did not come with the request. @throws InvalidInput, NotFound */
export async function findBatchKind(
  workspaceId: string,
  { endpoint, requests }: CreateBatchBody,
  fileId: string | undefined,
  deps: FindBatchKindDeps,
): Promise<KindId> {
  const kind = kindOfEndpoint(endpoint);
  if (kind) return kind;
  const shape = endpointAt(endpoint);
  if (!shape && endpoint !== tasksEndpoint) {
    const known = [...new Set(kindIds.flatMap((id) => endpointsOf(kindOf(id)))), tasksEndpoint].join(', ');
    throw new InvalidInput(`No batch runs on this endpoint. Use one of: ${known}.`, { param: 'endpoint' });
  }
  if (shape?.kinds.length === 1) return shape.kinds[0]!;
  const body: unknown = requests ? requests[0]!.body : await readFirstBody(workspaceId, fileId!, deps);
  if (shape) return shape.chooseKind((body ?? {}) as Record<string, unknown>);
  const parsed = taskRequest.safeParse(body);
  if (!parsed.success) throw toInvalidInput(parsed.error.issues[0], 'the first line: ');
  const { kind: named, model } = parsed.data;
  if (named === 'auto') return chooseKind(model, taskBody(parsed.data), deps.providers);
  if (kindOf(named)) return named as KindId;
  throw new InvalidInput(`The first line's kind is not known. Use one of: ${kindIds.join(', ')}.`, {
    code: 'unknown_kind',
    param: 'kind',
  });
}

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
    return (JSON.parse(line) as { body?: unknown } | null)?.body;
  } catch {
    throw new InvalidInput('The first line of the input is not JSON.', { code: 'invalid_json_line' });
  }
}
