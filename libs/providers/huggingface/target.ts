/** A model's name as Hugging Face's router has it: `owner/name`, with who serves it, or how they are chosen, behind a colon. */
import { INFERENCE_PROVIDERS } from '@huggingface/inference';
import { InvalidInput } from '#domain';

export interface Target {
  /** `owner/name` without the suffix. */
  readonly model: string;
  /** The same with it, which the router's chat understands. */
  readonly routed: string;
  /** An inference provider by name; null where the router, or the account's order, chooses. */
  readonly provider: string | null;
  /** A dedicated endpoint. */
  readonly endpointUrl?: string;
}

/** How the router chooses: https://huggingface.co/docs/inference-providers/index */
const policies = ['fastest', 'cheapest', 'preferred', 'auto'];

/** @throws InvalidInput, code `model_not_found`. */
export function parseTarget(name: string, endpoints: ReadonlyMap<string, string>): Target {
  if (name.startsWith('@')) {
    const endpointUrl = endpoints.get(name.slice(1));
    if (!endpointUrl) {
      throw notFound(
        `No endpoint has this name: HF_ENDPOINTS names ${[...endpoints.keys()].join(', ') || 'none'}.`,
      );
    }
    return { model: name, routed: name, provider: null, endpointUrl };
  }
  const [model = '', suffix = 'auto', ...more] = name.split(':');
  if (!/^\w[\w.-]*\/\w[\w.-]*$/.test(model) || more.length > 0) {
    throw notFound('A model of Hugging Face is named hf/owner/name, or hf/owner/name:provider.');
  }
  if (policies.includes(suffix)) return { model, routed: suffix === 'auto' ? model : name, provider: null };
  if ((INFERENCE_PROVIDERS as readonly string[]).includes(suffix))
    return { model, routed: name, provider: suffix };
  throw notFound(
    `':${suffix}' is neither an inference provider (${INFERENCE_PROVIDERS.join(', ')}) nor one of ${policies.join(', ')}.`,
  );
}

const notFound = (message: string) => new InvalidInput(message, { code: 'model_not_found', param: 'model' });
