/** Failures of local models. Each message says what to do, and links to the model's page if it has one. */
import { InvalidInput, ProviderFailure, type Failure } from '#domain';
import type { ThreadError } from './thread-messages.ts';

/** Only models of the Hub have a page; bundled models and those of the folder do not. */
export const buildModelPageHint = (model: string): string =>
  model.includes('/') ? ` Its page: https://huggingface.co/${model}` : '';

const buildPermanent = (code: string, status: number, message: string, cause?: unknown) =>
  new ProviderFailure(message, {
    code,
    status,
    retryable: false,
    cause,
    ...(status < 500 && { param: 'model' }),
  });

export const modelNotFound = (model: string) =>
  buildPermanent(
    'model_not_found',
    404,
    `There is no model local/${model}, or it is private.${buildModelPageHint(model)}`,
  );

export const modelGated = (model: string) =>
  buildPermanent(
    'model_gated',
    403,
    `The model local/${model} is gated or private, or does not exist. Accept its terms on its page and set HF_TOKEN to a token that may read it.${buildModelPageHint(model)}`,
  );

export const modelUnsupported = (model: string, reason: string, cause?: unknown) =>
  buildPermanent(
    'model_unsupported',
    422,
    `The model local/${model} cannot be run here: ${reason}.${buildModelPageHint(model)}`,
    cause,
  );

export const modelDamaged = (model: string, reason: string) =>
  buildPermanent(
    'model_damaged',
    500,
    `The files of local/${model} cannot be read (${reason}). Replace them.${buildModelPageHint(model)}`,
  );

export const hubUnavailable = (url: string, cause: unknown) =>
  new ProviderFailure(`The model could not be downloaded: ${new URL(url).host} is unavailable.`, {
    code: 'hub_unavailable',
    status: 503,
    retryable: true,
    retryAfterMs: 5_000,
    cause,
  });

const toMegabytes = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)} MB`;

export const modelTooLarge = (model: string, neededBytes: number, limitBytes: number) =>
  buildPermanent(
    'model_too_large',
    507,
    `The model local/${model} needs ${toMegabytes(neededBytes)} of memory over all slots; MODELS_MEMORY_MB allows ${toMegabytes(limitBytes)}.`,
  );

export const modelMemoryFull = (model: string, neededBytes: number, freeBytes: number) =>
  buildPermanent(
    'model_memory_full',
    507,
    `The model local/${model} needs ${toMegabytes(neededBytes)}; ${toMegabytes(freeBytes)} are free. Unload another model, raise MODELS_MEMORY_MB, or set MODELS_EVICT=true.`,
  );

export function toFailure({ code, message }: ThreadError, model: string): Failure {
  switch (code) {
    case 'model_damaged':
      return modelDamaged(model, message);
    case 'model_unsupported':
      return modelUnsupported(model, message);
    case 'device_unavailable':
      return buildPermanent(code, 500, `LOCAL_DEVICE cannot be used on this machine: ${message}`);
    case 'inference_failed':
      return buildPermanent(code, 500, `The model local/${model} failed: ${message}`);
    case 'invalid_tokens':
      return new InvalidInput(`${message}.`, { code, param: 'input' });
    case 'invalid_dimensions':
      return new InvalidInput(`${message}.`, { code, param: 'dimensions' });
  }
}
