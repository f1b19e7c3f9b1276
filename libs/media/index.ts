export { resolveMedia, type MediaSources } from './resolve-media.ts';
export { validateInlineMedia } from './validate-inline-media.ts';
