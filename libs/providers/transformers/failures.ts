/** What can be wrong with a local model, in words that say what to do, with the model's page where it has one. */
import { InvalidInput, ProviderFailure, type Failure } from '#domain';
import type { ThreadError } from './thread-messages.ts';

/** The page of a model of the Hub; the bundled ones and those of the folder have none. */
export const buildModelPageHint = (model: string): string =>
  model.includes('/') ? ` Its page: https://huggingface.co/${model}` : '';

const forGood = (code: string, status: number, message: string, cause?: unknown) =>
  new ProviderFailure(message, {
    code,
    status,
    retryable: false,
    cause,
    ...(status < 500 && { param: 'model' }),
  });

export const modelNotFound = (model: string) =>
  forGood(
    'model_not_found',
    404,
    `There is no model local/${model}, or it is private.${buildModelPageHint(model)}`,
  );

export const modelGated = (model: string) =>
  forGood(
    'model_gated',
    403,
    `The model local/${model} is gated, or private, or not there: accept its terms on its page and set HF_TOKEN to a token that may read it.${buildModelPageHint(model)}`,
  );

export const modelUnsupported = (model: string, why: string, cause?: unknown) =>
  forGood(
    'model_unsupported',
    422,
    `The model local/${model} can't be run here: ${why}.${buildModelPageHint(model)}`,
    cause,
  );

export const modelDamaged = (model: string, why: string) =>
  forGood(
    'model_damaged',
    500,
    `The files of local/${model} can't be read (${why}): put them in place again.${buildModelPageHint(model)}`,
  );

export const hubUnavailable = (url: string, cause: unknown) =>
  new ProviderFailure(`The model could not be fetched: ${new URL(url).host} does not answer as it should.`, {
    code: 'hub_unavailable',
    status: 503,
    retryable: true,
    retryAfterMs: 5_000,
    cause,
  });

const megabytes = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)} MB`;

export const modelTooLarge = (model: string, needs: number, budget: number) =>
  forGood(
    'model_too_large',
    507,
    `The model local/${model} needs ${megabytes(needs)} of memory in all slots, and MODELS_MEMORY_MB allows ${megabytes(budget)}.`,
  );

export const modelMemoryFull = (model: string, needs: number, free: number) =>
  forGood(
    'model_memory_full',
    507,
    `The model local/${model} needs ${megabytes(needs)} and ${megabytes(free)} are free: unload another, raise MODELS_MEMORY_MB, or set MODELS_EVICT=true.`,
  );

/** What a thread refused. */
export function toFailure({ code, message }: ThreadError, model: string): Failure {
  switch (code) {
    case 'model_damaged':
      return modelDamaged(model, message);
    case 'model_unsupported':
      return modelUnsupported(model, message);
    case 'device_unavailable':
      return forGood(code, 500, `LOCAL_DEVICE can't be used on this machine: ${message}`);
    case 'inference_failed':
      return forGood(code, 500, `The model local/${model} failed: ${message}`);
    case 'invalid_tokens':
      return new InvalidInput(`${message}.`, { code, param: 'input' });
    case 'invalid_dimensions':
      return new InvalidInput(`${message}.`, { code, param: 'dimensions' });
  }
}
