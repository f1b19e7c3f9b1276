/** Validates a task request against its kind, and builds the row to insert. */
import { createId } from '@millrace/contracts';
import { kindIds, findKind, parseKindBody, type Kind, type KindId } from '#catalogue';
import type { FileStore } from '#database';
import { InvalidInput } from '#domain';
import type { Outbound } from '#outbound';
import type { Provider, Providers } from '#providers';
import { toInvalidInput } from '../http/schema.pipe.ts';
import { chooseKind } from './choose-kind.ts';
import type { TaskRequest } from './task-request.ts';
import { validateMedia } from './validate-media.ts';

export interface PrepareTaskDeps {
  readonly providers: Providers;
  readonly files: Pick<FileStore, 'get'>;
  readonly outbound: Pick<Outbound, 'checkUrl'>;
}

/** @returns `text`: the parsed body as JSON. @throws InvalidInput */
export async function prepareTask(workspaceId: string, request: TaskRequest, deps: PrepareTaskDeps) {
  const { body, paramPrefix, fieldNames, runOptions = {} } = request;
  const { providers } = deps;
  const id = resolveKind(workspaceId, request, providers);
  const kind = findKind(id);
  const parsed = parseKindBody(kind, body);
  if (!parsed.success) throw toInvalidInput(parsed.error.issues, { prefix: paramPrefix, fieldNames });
  const { model, metadata = null } = parsed.data as { model: string; metadata?: Record<string, string> };
  const route = providers.route(model, id, { workspaceId });
  const fallbacks = runOptions.fallbackModels ?? [];
  for (const { provider } of [
    route,
    ...fallbacks.map((name) => providers.route(name, id, { workspaceId })),
  ]) {
    checkProviderOptions(provider, id, parsed.data as object, paramPrefix);
  }
  const { timeoutMs = null, startTimeoutS = null, runAt = null } = runOptions;
  assertTimeout(timeoutMs, kind);
  await validateMedia(workspaceId, kind, parsed.data, route, deps);
  const startAt = Math.max(Date.now(), runAt?.getTime() ?? 0);
  const task = {
    id: createId('task'),
    kind: id,
    model,
    provider: route.provider.id,
    pool: route.provider.pool,
    metadata,
    priority: runOptions.priority ?? 0,
    runAt,
    deadline: runOptions.deadline ?? null,
    startBy: startTimeoutS === null ? null : new Date(startAt + startTimeoutS * 1_000),
    timeoutMs,
    patienceMs: runOptions.patienceMs ?? null,
    fallbackModels: runOptions.fallbackModels ?? null,
    retryOf: runOptions.retryOf ?? null,
    work: Math.max(kind.estimateWork?.(parsed.data) ?? 1, 1e-6),
  };
  return { task, text: JSON.stringify(parsed.data), kind: id };
}

/** @throws InvalidInput, with the path of the option in the request. */
function checkProviderOptions(provider: Provider, kind: KindId, body: object, paramPrefix = ''): void {
  try {
    provider.checkOptions?.(kind, body);
  } catch (error) {
    if (!(error instanceof InvalidInput) || error.param === null) throw error;
    throw new InvalidInput(error.message, { code: 'unsupported', param: paramPrefix + error.param });
  }
}

function resolveKind(workspaceId: string, { kind, body }: TaskRequest, providers: Providers): KindId {
  if (kind === 'auto') {
    const values = body as Record<string, unknown>;
    return chooseKind(workspaceId, String(values['model']), values, providers);
  }
  if (findKind(kind)) return kind as KindId;
  throw new InvalidInput(`Unknown kind. Use one of: auto, ${kindIds.join(', ')}.`, {
    code: 'unknown_kind',
    param: 'kind',
  });
}

function assertTimeout(timeoutMs: number | null, { id, maxTimeoutMs }: Kind): void {
  if (timeoutMs === null || timeoutMs <= maxTimeoutMs) return;
  throw new InvalidInput(`'timeout': ${id} tasks may take at most ${maxTimeoutMs / 1_000} seconds.`, {
    code: 'invalid_request',
    param: 'timeout',
  });
}
