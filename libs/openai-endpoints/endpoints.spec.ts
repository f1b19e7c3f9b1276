import { kindIds } from '#catalogue';
import { findEndpoint, findSameFieldsPath, listEndpointPaths, openAiEndpoints } from './endpoints.ts';

test('paths are unique and found by their exact text', () => {
  const paths = openAiEndpoints.map(({ path }) => path);
  expect(new Set(paths).size).toBe(paths.length);
  for (const path of paths) expect(findEndpoint(path)!.path).toBe(path);
  expect(findEndpoint('/v1/none')).toBeUndefined();
  expect(findEndpoint('/v1/embeddings/')).toBeUndefined();
});

test.each(openAiEndpoints.map((endpoint) => [endpoint.path, endpoint] as const))(
  '%s: its entry is consistent',
  (path, endpoint) => {
    for (const kind of endpoint.kinds) {
      expect(kindIds).toContain(kind);
      expect(listEndpointPaths(kind)).toContain(path);
    }
    expect(endpoint.kinds).toContain(endpoint.chooseKind({}));
    expect(endpoint.openStream !== undefined).toBe(endpoint.replies.includes('events'));
    expect(endpoint.accepts.length).toBeGreaterThan(0);
  },
);

test('at most one path takes the own fields of a kind', () => {
  const sameFields = openAiEndpoints.filter((endpoint) => !endpoint.toKindBody);
  expect(new Set(sameFields.flatMap(({ kinds }) => kinds)).size).toBe(sameFields.length);
  expect(findSameFieldsPath('chat-completion')).toBe('/v1/chat/completions');
  expect(findSameFieldsPath('text-to-image')).toBeNull();
});

test.each<[string, object, string]>([
  ['/v1/chat/completions', {}, 'chat-completion'],
  ['/v1/images/edits', { mask: null }, 'image-to-image'],
  ['/v1/images/edits', { mask: 'x' }, 'inpainting'],
  ['/v1/videos', { input_reference: null }, 'text-to-video'],
  ['/v1/videos', { input_reference: { file_id: 'x' } }, 'image-to-video'],
])('%s with %j runs %s', (path, body, kind) => {
  expect(findEndpoint(path)!.chooseKind(body as never)).toBe(kind);
});

test('media references become the media sources of the kind', () => {
  const video = findEndpoint('/v1/videos')!;
  expect(video.toKindBody!({ prompt: 'p', size: null, input_reference: { image_url: 'u' } })).toEqual({
    prompt: 'p',
    image: 'u',
  });
  expect(video.toKindBody!({ input_reference: { file_id: 'f' } })).toEqual({ image: 'f' });
  expect(video.toKindBody!({ input_reference: 'base64' })).toEqual({ image: 'base64' });
  const edits = findEndpoint('/v1/images/edits')!;
  expect(edits.toKindBody!({ images: [{ image_url: 'a' }, { file_id: 'b' }] })).toEqual({
    image: ['a', 'b'],
  });
  expect(edits.toKindBody!({ image: ['a'], mask: { image_url: 'm' } })).toEqual({ image: 'a', mask: 'm' });
});
