/** Hosted providers: where they are, their tokens, their concurrency and their prices. */
import { amounts, concurrencyLimits, filePath, integer, namedValues, text, url } from './types.ts';

export const providerSettings = {
  HF_TOKEN: text
    .optional()
    .describe('Hugging Face token. It downloads gated and private models, and runs hf/… models.'),
  HF_ENDPOINTS: namedValues('url').describe(
    'Dedicated Inference Endpoints of Hugging Face as name=url, separated by commas. Their models are named hf/@name.',
  ),
  HF_ROUTER: url('http', 'https')
    .default('https://router.huggingface.co')
    .describe('Router of Hugging Face’s Inference Providers, or a proxy for it.'),
  OLLAMA_URL: url('http', 'https')
    .optional()
    .describe(
      'Ollama server, e.g. http://127.0.0.1:11434. Its models are named ollama/name. Unset: no Ollama provider.',
    ),
  OLLAMA_KEY: text.optional().describe('API key of the Ollama server, if it requires one.'),
  OPENAI_COMPATIBLE: namedValues('url').describe(
    'Servers with OpenAI’s API as name=url, separated by commas. The URL ends with /v1. Their models are named name/model.',
  ),
  OPENAI_COMPATIBLE_KEYS: namedValues('key').describe(
    'API keys of these servers as name=key, or name=@file to read the key from a file, separated by commas.',
  ),
  PROVIDER_CONCURRENCY: integer(1, 1_024)
    .default(16)
    .describe('Calls that a worker has in progress at once to each hosted provider.'),
  PROVIDER_LIMITS: concurrencyLimits().describe(
    'The same limit for one provider or one model, e.g. openai=8 or openai/gpt-5=2, separated by commas.',
  ),
  PRICES: filePath()
    .optional()
    .describe('JSON file with the price table, for cost estimates. Unset: costs are not estimated.'),
  FREE_CREDIT_USD: amounts().describe(
    'Free credit of a provider token per month in US dollars as name=amount, e.g. hf=0.10, separated by commas.',
  ),
};
