export { judgeInline } from './judge-inline.ts';
export { resolveMedia, type MediaSources } from './resolve-media.ts';
