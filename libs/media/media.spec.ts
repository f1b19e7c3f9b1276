import sharp from 'sharp';
import { kinds, type Media, type MediaRule, type MediaSlot } from '#catalogue';
import { judgeInline, resolveMedia } from './index.ts';

const rule: MediaRule = { is: ['image'], maxBytes: 2 ** 20, maxPixels: 1_000_000, fitPixels: 100 };
const picture = (width: number, height: number) =>
  sharp({ create: { width, height, channels: 3, background: 'teal' } });
const { signal } = new AbortController();

function slot(source: string, over: Partial<MediaRule> = {}) {
  const put: Media[] = [];
  const one: MediaSlot = {
    param: 'image',
    rule: { ...rule, ...over },
    source,
    put: (media) => put.push(media),
  };
  return { one, put };
}
const none = async () => Promise.reject(new Error('not asked for'));

test.each<[string, (bytes: Buffer) => string, string]>([
  ['no base64', () => '$$$', 'invalid_media'],
  ['a data URI without base64', () => 'data:image/png,abc', 'invalid_media'],
  [
    'an SVG',
    () => Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>').toString('base64'),
    'wrong_media_type',
  ],
  [
    'a PNG that says it is sound',
    (png) => `data:audio/wav;base64,${png.toString('base64')}`,
    'wrong_media_type',
  ],
  ['half a header', (png) => png.subarray(0, 20).toString('base64'), 'broken_image'],
  ['sound', () => Buffer.from('RIFF0000WAVEfmt ').toString('base64'), 'wrong_media_type'],
])('%s is refused', async (_, make, code) => {
  const png = await picture(10, 10).png().toBuffer();
  await expect(judgeInline([slot(make(png)).one])).rejects.toMatchObject({
    status: 400,
    code,
    param: 'image',
  });
});

test('a picture of a few bytes and 900 million pixels is refused before it is decoded', async () => {
  const png = await picture(4, 4).png().toBuffer();
  png.writeUInt32BE(30_000, 16);
  png.writeUInt32BE(30_000, 20);
  await expect(judgeInline([slot(png.toString('base64')).one])).rejects.toMatchObject({ status: 400 });
});

test('bytes beyond the cap are refused', async () => {
  const png = await picture(300, 300).png().toBuffer();
  const { one } = slot(png.toString('base64'), { maxBytes: 100 });
  await expect(judgeInline([one])).rejects.toMatchObject({ code: 'media_too_large' });
});

test('files and addresses are left to be asked for', async () => {
  const id = `file_${'a'.repeat(32)}`;
  const slots = [slot(id).one, slot('https://x.test/a.png').one];
  expect(await judgeInline(slots)).toEqual({
    files: [{ id, param: 'image' }],
    urls: [{ url: 'https://x.test/a.png', param: 'image' }],
  });
});

test('what is large is scaled to fit, what is not stays as it came', async () => {
  const large = slot((await picture(400, 200).jpeg().toBuffer()).toString('base64url'));
  const png = await picture(40, 20).png().toBuffer();
  const small = slot(`data:image/png;base64,${png.toString('base64')}`);
  await resolveMedia([large.one, small.one], { readFile: none, fetchUrl: none }, signal);
  expect(large.put[0]).toMatchObject({ type: 'image/webp', width: 100, height: 50 });
  expect(small.put[0]).toMatchObject({ type: 'image/png', width: 40, height: 20 });
  expect(Buffer.from(small.put[0]!.bytes).equals(png)).toBe(true);
});

test('a file’s and an address’s bytes are judged like any', async () => {
  const png = await picture(10, 10).png().toBuffer();
  const on = {
    readFile: async () => png,
    fetchUrl: async () => ({ bytes: Buffer.from('<html>'), type: 'image/png' }),
  };
  const file = slot(`file_${'a'.repeat(32)}`);
  await resolveMedia([file.one], on, signal);
  expect(file.put[0]!.type).toBe('image/png');
  await expect(resolveMedia([slot('https://x.test/a.png').one], on, signal)).rejects.toMatchObject({
    code: 'wrong_media_type',
  });
});

test('images in a chat’s messages become data URIs', async () => {
  const png = (await picture(10, 10).png().toBuffer()).toString('base64');
  const body = kinds['chat-completion'].body.parse({
    model: 'm',
    messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: png } }] }],
  });
  await resolveMedia(kinds['chat-completion'].media!(body), { readFile: none, fetchUrl: none }, signal);
  expect(JSON.stringify(body)).toContain(`data:image/png;base64,${png}`);
});
