/**
 * The place of Millrace's client for browsers, Node and React Native. The client is not written yet: the package exports
 * only the types of what crosses the API. Call the API with `fetch` or an OpenAI client until then.
 */
export type * from '@millrace/contracts';
