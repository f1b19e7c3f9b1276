import sharp from 'sharp';
import { kinds, type Media, type MediaField, type MediaRule } from '#catalogue';
import { detectMimeType } from './detect-mime-type.ts';
import { resolveMedia, validateInlineMedia } from './index.ts';

const rule: MediaRule = { types: ['image'], maxBytes: 2 ** 20, maxPixels: 1_000_000, fitPixels: 100 };
const createImage = (width: number, height: number) =>
  sharp({ create: { width, height, channels: 3, background: 'teal' } });
const { signal } = new AbortController();

function createField(source: string, ruleOverrides: Partial<MediaRule> = {}) {
  const replaced: Media[] = [];
  const field: MediaField = {
    param: 'image',
    rule: { ...rule, ...ruleOverrides },
    source,
    replace: (media) => replaced.push(media),
  };
  return { field, replaced };
}
const unexpected = async () => Promise.reject(new Error('should not be called'));
const noSources = { readFile: unexpected, fetchUrl: unexpected };

test.each<[string, (bytes: Buffer) => string, string]>([
  ['text that is not base64', () => '$$$', 'invalid_media'],
  ['a data URI without base64', () => 'data:image/png,abc', 'invalid_media'],
  [
    'an SVG',
    () => Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>').toString('base64'),
    'wrong_media_type',
  ],
  [
    'a PNG that is declared as audio',
    (png) => `data:audio/wav;base64,${png.toString('base64')}`,
    'wrong_media_type',
  ],
  ['half a header', (png) => png.subarray(0, 20).toString('base64'), 'broken_image'],
  ['audio', () => Buffer.from('RIFF0000WAVEfmt ').toString('base64'), 'wrong_media_type'],
  ['an archive', () => Buffer.from(`PK\x03\x04${'\0'.repeat(40)}`).toString('base64'), 'wrong_media_type'],
])('%s is refused', async (_, buildSource, code) => {
  const png = await createImage(10, 10).png().toBuffer();
  await expect(validateInlineMedia([createField(buildSource(png)).field])).rejects.toMatchObject({
    status: 400,
    code,
    param: 'image',
  });
});

test('an archive is not a document', async () => {
  const zip = Buffer.from(`PK\x03\x04${'\0'.repeat(40)}`).toString('base64');
  const { field } = createField(zip, { types: ['document'] });
  await expect(validateInlineMedia([field])).rejects.toMatchObject({ code: 'wrong_media_type' });
  const pdf = createField(Buffer.from('%PDF-1.7').toString('base64'), { types: ['document'] });
  await expect(validateInlineMedia([pdf.field])).resolves.toEqual({ files: [], urls: [] });
});

test('an image of a few bytes and 900 million pixels is refused before it is decoded', async () => {
  const png = await createImage(4, 4).png().toBuffer();
  png.writeUInt32BE(30_000, 16);
  png.writeUInt32BE(30_000, 20);
  await expect(validateInlineMedia([createField(png.toString('base64')).field])).rejects.toMatchObject({
    status: 400,
  });
});

test('a file larger than the limit is refused', async () => {
  const png = await createImage(300, 300).png().toBuffer();
  const { field } = createField(png.toString('base64'), { maxBytes: 100 });
  await expect(validateInlineMedia([field])).rejects.toMatchObject({ code: 'media_too_large' });
});

test('file ids and URLs are returned for the caller to check', async () => {
  const id = `file_${'a'.repeat(32)}`;
  const fields = [createField(id).field, createField('https://x.test/a.png').field];
  expect(await validateInlineMedia(fields)).toEqual({
    files: [{ id, param: 'image' }],
    urls: [{ url: 'https://x.test/a.png', param: 'image' }],
  });
});

test('a large image is scaled to fit, a small one is not changed', async () => {
  const large = createField((await createImage(400, 200).jpeg().toBuffer()).toString('base64url'));
  const png = await createImage(40, 20).png().toBuffer();
  const small = createField(`data:image/png;base64,${png.toString('base64')}`);
  await resolveMedia([large.field, small.field], noSources, signal);
  expect(large.replaced[0]).toMatchObject({ type: 'image/jpeg', width: 100, height: 50 });
  expect(small.replaced[0]).toMatchObject({ type: 'image/png', width: 40, height: 20 });
  expect(Buffer.from(small.replaced[0]!.bytes).equals(png)).toBe(true);
});

test('the bytes of files and URLs are checked like inline media', async () => {
  const png = await createImage(10, 10).png().toBuffer();
  const sources = {
    readFile: async () => png,
    fetchUrl: async () => ({ bytes: Buffer.from('<html>'), type: 'image/png' }),
  };
  const file = createField(`file_${'a'.repeat(32)}`);
  await resolveMedia([file.field], sources, signal);
  expect(file.replaced[0]!.type).toBe('image/png');
  const url = createField('https://x.test/a.png');
  await expect(resolveMedia([url.field], sources, signal)).rejects.toMatchObject({
    code: 'wrong_media_type',
  });
});

test('images in chat messages become data URIs', async () => {
  const png = (await createImage(10, 10).png().toBuffer()).toString('base64');
  const body = kinds['chat-completion'].body.parse({
    model: 'm',
    messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: png } }] }],
  });
  await resolveMedia(kinds['chat-completion'].listMediaFields!(body), noSources, signal);
  expect(JSON.stringify(body)).toContain(`data:image/png;base64,${png}`);
});

test.each([
  ['webp', 'image/jpeg'],
  ['avif', 'image/jpeg'],
  ['gif', 'image/png'],
  ['tiff', 'image/jpeg'],
  ['png', 'image/png'],
  ['jpeg', 'image/jpeg'],
] as const)('%s leaves as %s, which every server reads', async (format, type) => {
  const bytes = await createImage(10, 10).toFormat(format).toBuffer();
  const { field, replaced } = createField(bytes.toString('base64'));
  await resolveMedia([field], noSources, signal);
  expect(replaced[0]).toMatchObject({ type, width: 10, height: 10 });
  expect(await detectMimeType(replaced[0]!.bytes)).toBe(type);
});

test('an image that is transformed or has transparency loses nothing', async () => {
  const alpha = await createImage(10, 10).ensureAlpha(0.5).webp().toBuffer();
  const { field, replaced } = createField(alpha.toString('base64'));
  const opaque = createField((await createImage(10, 10).webp().toBuffer()).toString('base64'));
  const { fitPixels: _, ...transformed } = rule;
  const image = { ...opaque.field, rule: transformed };
  await resolveMedia([field, image], noSources, signal);
  expect([replaced[0]!.type, opaque.replaced[0]!.type]).toEqual(['image/png', 'image/png']);
});

const breakLines = (base64: string, end: string) => base64.replaceAll(/(.{20})/g, `$1${end}`);

test.each<[string, (base64: string) => string]>([
  ['LF', (base64) => `data:image/png;base64,${breakLines(base64, '\n')}`],
  ['CRLF and a last line end', (base64) => `data:image/png;base64,${breakLines(base64, '\r\n')}\r\n`],
  ['base64 alone with LF', (base64) => breakLines(base64, '\n')],
  ['spaces around', (base64) => ` data:image/png;base64, ${base64} `],
  ['no type', (base64) => `data:;base64,${base64}`],
  ['a generic type', (base64) => `data:application/octet-stream;base64,${base64}`],
  ['binary/octet-stream', (base64) => `data:binary/octet-stream;base64,${base64}`],
  ['another image type', (base64) => `data:image/jpeg;base64,${base64}`],
  ['image/jpg in capitals', (base64) => `DATA:IMAGE/JPG;BASE64,${base64}`],
  ['parameters', (base64) => `data:image/png;name="a, b.png";charset=utf-8;base64,${base64}`],
  ['percent-encoded base64', (base64) => `data:image/png;base64,${encodeURIComponent(base64)}`],
  ['base64url', (base64) => Buffer.from(base64, 'base64').toString('base64url')],
])('a PNG is read from a source with %s', async (_, write) => {
  const png = await createImage(10, 10).png().toBuffer();
  const { field, replaced } = createField(write(png.toString('base64')));
  await expect(validateInlineMedia([field])).resolves.toEqual({ files: [], urls: [] });
  await resolveMedia([field], noSources, signal);
  expect(replaced[0]!.type).toBe('image/png');
  expect(kinds['image-classification'].input.safeParse({ image: field.source }).success).toBe(true);
});

/** An MP4 container with this brand. */
const buildMp4 = (brand: string) => Buffer.from(`\0\0\0\x18ftyp${brand}\0\0\0\0${brand}mp42`, 'latin1');
/** An Ogg page with the first bytes of a codec's header. */
const buildOgg = (header: string) => Buffer.from(`OggS${'\0'.repeat(24)}${header}`, 'latin1');

test.each<[string, Buffer]>([
  ['image/gif', Buffer.from('GIF89a')],
  ['image/bmp', Buffer.from('BM\0\0\0\0')],
  ['image/heic', buildMp4('heic')],
  ['image/avif', buildMp4('avif')],
  ['application/pdf', Buffer.from('%PDF-1.7')],
  ['audio/wav', Buffer.from('RIFF0000WAVEfmt ')],
  ['audio/flac', Buffer.from('fLaC\0\0\0\x22')],
  ['audio/ogg', buildOgg('OpusHead')],
  ['audio/ogg', buildOgg('\x01vorbis\0')],
  ['audio/ogg', buildOgg('unknown codec')],
  ['audio/mpeg', Buffer.from([0xff, 0xfb, 0x90, 0x44, 0, 0, 0, 0])],
  ['audio/mpeg', Buffer.from('ID3\x03\0\0\0\0\0\0\xff\xfb\x90\0', 'latin1')],
  ['audio/mp4', buildMp4('M4A ')],
  ['video/mp4', buildMp4('isom')],
  ['video/quicktime', buildMp4('qt  ')],
  ['video/webm', Buffer.from('\x1aE\xdf\xa3\x87\x42\x82\x84webm', 'latin1')],
])('%s is detected', async (type, bytes) => {
  expect(await detectMimeType(bytes)).toBe(type);
});

const webm = Buffer.from('\x1aE\xdf\xa3\x87\x42\x82\x84webm', 'latin1');

test.each<[string, string, Buffer]>([
  ['audio/webm', 'data:audio/webm;codecs=opus;base64,', webm],
  ['audio/webm', 'data:audio/webm;codecs="opus, vp8";base64,', webm],
  ['audio/webm', 'data:video/webm;codecs=vp9,opus;base64,'.replace('video', 'audio'), webm],
  ['audio/webm', 'data:application/octet-stream;base64,', webm],
  ['audio/webm', '', webm],
  ['video/webm', 'data:video/webm;codecs=vp9,opus;base64,', webm],
  ['audio/mp4', 'data:audio/mp4;base64,', buildMp4('isom')],
  ['audio/mp4', 'data:audio/x-m4a;base64,', buildMp4('M4A ')],
  ['audio/mp4', 'data:audio/m4a;base64,', buildMp4('mp42')],
  ['audio/3gpp', 'data:audio/3gpp;base64,', buildMp4('3gp4')],
  ['audio/3gpp', '', buildMp4('3gp4')],
  ['audio/ogg', 'data:application/ogg;base64,', buildOgg('OpusHead')],
  ['audio/ogg', 'data:video/ogg;base64,', buildOgg('OpusHead')],
  ['audio/wav', 'data:audio/x-wav;base64,', Buffer.from('RIFF0000WAVEfmt ')],
  ['audio/wav', 'data:audio/mpeg;base64,', Buffer.from('RIFF0000WAVEfmt ')],
  ['audio/wav', 'data:text/plain;base64,', Buffer.from('RIFF0000WAVEfmt ')],
])('a recording is %s from %s', async (type, head, bytes) => {
  const audio: MediaRule = { types: ['audio', 'video'], maxBytes: 2 ** 20 };
  const replaced: Media[] = [];
  const source = `${head}${bytes.toString('base64')}`;
  const field = { param: 'audio', rule: audio, source, replace: (media: Media) => void replaced.push(media) };
  await resolveMedia([field], noSources, signal);
  expect(replaced[0]!.type).toBe(type);
});
