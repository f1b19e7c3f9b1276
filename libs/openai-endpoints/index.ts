export { parseLineBody, toLineResponse } from './batch-line.ts';
export type { Fields, OpenAiEndpoint, ReplyFormat } from './endpoint.ts';
export { findEndpoint, findSameFieldsPath, listEndpointPaths, openAiEndpoints } from './endpoints.ts';
export type { ResponseEvent, ResponseStream } from './response-stream.ts';
export { buildVideo } from './videos.ts';
