export { validateInlineMedia as judgeInline } from './validate-inline-media.ts';
export { resolveMedia, type MediaSources } from './resolve-media.ts';
