/** Wraps a provider's handlers: options are checked also where no request was checked before, and reports are bounded. */
import type { KindId } from '#catalogue';
import { InvalidInput } from '#domain';
import { unsupportedRequest } from './failures.ts';
import { checkOptions, type OptionTable } from './option-rules.ts';
import type { Provider } from './provider.ts';
import { readRunId } from './run-states.ts';
import type { Handler, Progress, Run } from './run.ts';
import { toStorableText } from './storable-text.ts';

const maxStageLength = 64;
const maxLogLength = 1_000;

/**
 * Lines of a batch, and calls of a fallback model, are not checked one by one before they are queued. A packed call has
 * the input's own field names, whose options its lines share.
 */
export function withOptionChecks(provider: Provider, table: OptionTable): Provider {
  const check = (kind: KindId, body: object) => checkOptions(table, provider.id, kind, body);
  const checkCall = (kind: KindId, input: object) => {
    try {
      check(kind, toOptions(kind, input));
    } catch (error) {
      if (!(error instanceof InvalidInput)) throw error;
      throw unsupportedRequest(error.message, error.param ?? undefined);
    }
  };
  const handlers = Object.entries(provider.handlers).map(([id, handler]) => {
    const kind = id as KindId;
    const checked: Handler<KindId> = async (call, run) => {
      checkCall(kind, call.input);
      return (handler as Handler<KindId>)(call, boundReports(run));
    };
    return [id, checked];
  });
  return {
    ...provider,
    handlers: Object.fromEntries(handlers) as Provider['handlers'],
    checkOptions: check,
    optionTable: table,
  };
}

/** The input of an embeddings call names two fields differently from a request's body. */
function toOptions(kind: KindId, input: object): object {
  if (kind !== 'embeddings') return input;
  const { inputs: _, purpose, ...options } = input as { inputs: unknown; purpose?: string };
  return { ...options, ...(purpose !== undefined && { input_type: purpose }) };
}

const boundReports = (run: Run): Run => ({
  ...run,
  reportProgress: (progress) => run.reportProgress(boundProgress(progress)),
  saveRunId: async (id) => run.saveRunId(readRunId(id)),
});

const boundProgress = ({ stage, log, ...numbers }: Progress): Progress => ({
  ...numbers,
  ...(stage && { stage: toStorableText(stage, maxStageLength) }),
  ...(log && { log: toStorableText(log, maxLogLength) }),
});
