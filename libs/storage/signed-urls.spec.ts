import { signUrl, verifySignedUrl, type SignedUrlRequest, type UrlSigningOptions } from './signed-urls.ts';

const signing: UrlSigningOptions = {
  baseUrl: 'https://mill.example/base/',
  secret: 'a-secret-of-more-than-32-characters',
  now: () => 1_800_000_000_000,
};

function requestOf(url: string, method = 'GET'): SignedUrlRequest {
  const { pathname, searchParams } = new URL(url);
  const key = decodeURIComponent(pathname.slice('/base/v1/objects/'.length));
  return { method, key, query: Object.fromEntries(searchParams) };
}

const key = 'files/w_1/a.jsonl';
const download = {
  method: 'GET',
  expiresInS: 60,
  filename: 'zürich "é".jsonl',
  contentType: 'application/jsonl',
} as const;

describe('signed URLs', () => {
  test('grant what was signed', () => {
    const url = signUrl(signing, key, download);
    expect(url).toMatch(/^https:\/\/mill\.example\/base\/v1\/objects\/files\/w_1\/a\.jsonl\?/);
    expect(verifySignedUrl(signing, requestOf(url))).toEqual({
      key,
      method: 'GET',
      filename: download.filename,
      contentType: 'application/jsonl',
      expiresAt: new Date(1_800_000_060_000),
    });
    expect(url).not.toContain(signing.secret);
  });

  test('a signature for GET is good for HEAD, for PUT and DELETE it is not', () => {
    const url = signUrl(signing, key, download);
    expect(verifySignedUrl(signing, requestOf(url, 'HEAD')).method).toBe('GET');
    for (const method of ['PUT', 'DELETE', 'get', '']) {
      expect(() => verifySignedUrl(signing, requestOf(url, method))).toThrow(/does not match/);
    }
    const upload = signUrl(signing, key, { method: 'PUT', expiresInS: 60 });
    expect(verifySignedUrl(signing, requestOf(upload, 'PUT'))).toMatchObject({
      method: 'PUT',
      filename: null,
    });
    expect(() => verifySignedUrl(signing, requestOf(upload, 'GET'))).toThrow(/does not match/);
  });

  const tampered: [string, (request: SignedUrlRequest) => SignedUrlRequest][] = [
    ['key', (r) => ({ ...r, key: 'files/w_2/a.jsonl' })],
    ['key that climbs', (r) => ({ ...r, key: `../${r.key}` })],
    ['method', (r) => ({ ...r, query: { ...r.query, method: 'PUT' } })],
    ['later expiry', (r) => ({ ...r, query: { ...r.query, expires: '1900000000' } })],
    ['expiry written another way', (r) => ({ ...r, query: { ...r.query, expires: '01800000060' } })],
    ['filename', (r) => ({ ...r, query: { ...r.query, filename: 'b.jsonl' } })],
    ['filename gone', (r) => ({ ...r, query: { ...r.query, filename: undefined } })],
    ['content type', (r) => ({ ...r, query: { ...r.query, content_type: 'text/html' } })],
    ['parameter twice', (r) => ({ ...r, query: { ...r.query, filename: [download.filename, 'x'] } })],
    ['no signature', (r) => ({ ...r, query: { ...r.query, signature: undefined } })],
    ['empty signature', (r) => ({ ...r, query: { ...r.query, signature: '' } })],
    [
      'padded signature',
      (r) => ({ ...r, query: { ...r.query, signature: `${String(r.query['signature'])}=` } }),
    ],
    [
      'signature cut short',
      (r) => ({ ...r, query: { ...r.query, signature: String(r.query['signature']).slice(0, -1) } }),
    ],
    ['nothing at all', (r) => ({ ...r, query: {} })],
  ];
  test.each(tampered)('refuse a changed %s', (_, change) => {
    const request = change(requestOf(signUrl(signing, key, download)));
    expect(() => verifySignedUrl(signing, request)).toThrow(
      expect.objectContaining({ name: 'Forbidden', status: 403, code: 'invalid_signature' }),
    );
  });

  test('a parameter moved into its neighbour is another message', () => {
    const one = signUrl(signing, key, { method: 'GET', expiresInS: 60, filename: 'a', contentType: 'b' });
    const other = signUrl(signing, key, { method: 'GET', expiresInS: 60, filename: 'a","b' });
    expect(requestOf(one).query['signature']).not.toBe(requestOf(other).query['signature']);
    const empty = signUrl(signing, key, { method: 'GET', expiresInS: 60, filename: '' });
    expect(() =>
      verifySignedUrl(signing, {
        ...requestOf(empty),
        query: { ...requestOf(empty).query, filename: undefined },
      }),
    ).toThrow();
  });

  test('expire to the second', () => {
    const request = requestOf(signUrl(signing, key, download));
    expect(verifySignedUrl({ ...signing, now: () => 1_800_000_059_999 }, request).key).toBe(key);
    expect(() => verifySignedUrl({ ...signing, now: () => 1_800_000_060_000 }, request)).toThrow(
      expect.objectContaining({ status: 403, code: 'signed_url_expired' }),
    );
  });

  test('outlive a rotation of the secret as long as the old one is listed', () => {
    const request = requestOf(signUrl(signing, key, download));
    const rotated = { ...signing, secret: 'another-secret-of-more-than-32-chars' };
    expect(verifySignedUrl({ ...rotated, previousSecrets: [signing.secret] }, request).key).toBe(key);
    expect(() => verifySignedUrl(rotated, request)).toThrow(/does not match/);
  });

  test.each([0, -1, 1.5, Number.NaN, 604_801])('an expiry of %p s is refused', (expiresInS) => {
    expect(() => signUrl(signing, key, { method: 'GET', expiresInS })).toThrow(/expires in/);
  });

  test('a bad key is not signed', () => {
    expect(() => signUrl(signing, 'a/../b', download)).toThrow(
      expect.objectContaining({ code: 'invalid_key' }),
    );
  });
});
