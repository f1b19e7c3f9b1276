/**
 * Parses a model's name as Hugging Face's router knows it: `owner/name`. After a colon follows the inference provider,
 * or the policy by which the router chooses one.
 */
import { INFERENCE_PROVIDERS } from '@huggingface/inference';
import { InvalidInput } from '#domain';

/** URLs of dedicated inference endpoints, by name. */
export type InferenceEndpoints = ReadonlyMap<string, string>;

export interface Target {
  /** `owner/name` without the suffix. */
  readonly model: string;
  /** `owner/name` with the suffix, which the router's chat API understands. */
  readonly modelWithSuffix: string;
  /** An inference provider by name; null if the router, or the order set in the account, chooses. */
  readonly provider: string | null;
  /** The URL of a dedicated inference endpoint. */
  readonly endpointUrl?: string;
}

/** The router's policies: https://huggingface.co/docs/inference-providers/index */
const policies = ['fastest', 'cheapest', 'preferred', 'auto'];

/** @throws InvalidInput, code `model_not_found`. */
export function parseTarget(name: string, inferenceEndpoints: InferenceEndpoints): Target {
  if (name.startsWith('@')) {
    const endpointUrl = inferenceEndpoints.get(name.slice(1));
    if (!endpointUrl) {
      throw modelNotFound(
        `No inference endpoint has this name. HF_ENDPOINTS has: ${[...inferenceEndpoints.keys()].join(', ') || 'none'}.`,
      );
    }
    return { model: name, modelWithSuffix: name, provider: null, endpointUrl };
  }
  const [model = '', suffix = 'auto', ...more] = name.split(':');
  if (!/^\w[\w.-]*\/\w[\w.-]*$/.test(model) || more.length > 0) {
    throw modelNotFound('Models of Hugging Face are named hf/owner/name or hf/owner/name:provider.');
  }
  if (policies.includes(suffix))
    return { model, modelWithSuffix: suffix === 'auto' ? model : name, provider: null };
  if ((INFERENCE_PROVIDERS as readonly string[]).includes(suffix))
    return { model, modelWithSuffix: name, provider: suffix };
  throw modelNotFound(
    `':${suffix}' is neither an inference provider (${INFERENCE_PROVIDERS.join(', ')}) nor one of ${policies.join(', ')}.`,
  );
}

const modelNotFound = (message: string) =>
  new InvalidInput(message, { code: 'model_not_found', param: 'model' });
