import { signUrl, verifySignedUrl, type SignedUrlRequest, type UrlSigningOptions } from './signed-urls.ts';

const signing: UrlSigningOptions = {
  baseUrl: 'https://mill.example/base/',
  secret: 'a-secret-of-more-than-32-characters',
  now: () => 1_800_000_000_000,
};

function toRequest(url: string, method = 'GET'): SignedUrlRequest {
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
  test('allow what was signed', () => {
    const url = signUrl(signing, key, download);
    expect(url).toMatch(/^https:\/\/mill\.example\/base\/v1\/objects\/files\/w_1\/a\.jsonl\?/);
    expect(verifySignedUrl(signing, toRequest(url))).toEqual({
      key,
      method: 'GET',
      filename: download.filename,
      contentType: 'application/jsonl',
      expiresAt: new Date(1_800_000_060_000),
    });
    expect(url).not.toContain(signing.secret);
  });

  test('a signature for GET is valid for HEAD, but not for PUT or DELETE', () => {
    const url = signUrl(signing, key, download);
    expect(verifySignedUrl(signing, toRequest(url, 'HEAD')).method).toBe('GET');
    for (const method of ['PUT', 'DELETE', 'get', '']) {
      expect(() => verifySignedUrl(signing, toRequest(url, method))).toThrow(/does not match/);
    }
    const upload = signUrl(signing, key, { method: 'PUT', expiresInS: 60 });
    expect(verifySignedUrl(signing, toRequest(upload, 'PUT'))).toMatchObject({
      method: 'PUT',
      filename: null,
    });
    expect(() => verifySignedUrl(signing, toRequest(upload, 'GET'))).toThrow(/does not match/);
  });

  const tampered: [string, (request: SignedUrlRequest) => SignedUrlRequest][] = [
    ['key', (r) => ({ ...r, key: 'files/w_2/a.jsonl' })],
    ['key with a parent folder', (r) => ({ ...r, key: `../${r.key}` })],
    ['method', (r) => ({ ...r, query: { ...r.query, method: 'PUT' } })],
    ['later expiry', (r) => ({ ...r, query: { ...r.query, expires: '1900000000' } })],
    ['expiry in another notation', (r) => ({ ...r, query: { ...r.query, expires: '01800000060' } })],
    ['filename', (r) => ({ ...r, query: { ...r.query, filename: 'b.jsonl' } })],
    ['filename removed', (r) => ({ ...r, query: { ...r.query, filename: undefined } })],
    ['content type', (r) => ({ ...r, query: { ...r.query, content_type: 'text/html' } })],
    ['parameter repeated', (r) => ({ ...r, query: { ...r.query, filename: [download.filename, 'x'] } })],
    ['missing signature', (r) => ({ ...r, query: { ...r.query, signature: undefined } })],
    ['empty signature', (r) => ({ ...r, query: { ...r.query, signature: '' } })],
    [
      'padded signature',
      (r) => ({ ...r, query: { ...r.query, signature: `${String(r.query['signature'])}=` } }),
    ],
    [
      'truncated signature',
      (r) => ({ ...r, query: { ...r.query, signature: String(r.query['signature']).slice(0, -1) } }),
    ],
    ['query without parameters', (r) => ({ ...r, query: {} })],
  ];
  test.each(tampered)('reject a changed request: %s', (_, change) => {
    const request = change(toRequest(signUrl(signing, key, download)));
    expect(() => verifySignedUrl(signing, request)).toThrow(
      expect.objectContaining({ name: 'Forbidden', status: 403, code: 'invalid_signature' }),
    );
  });

  test('a parameter that contains the text of the next one has another signature', () => {
    const one = signUrl(signing, key, { method: 'GET', expiresInS: 60, filename: 'a', contentType: 'b' });
    const other = signUrl(signing, key, { method: 'GET', expiresInS: 60, filename: 'a","b' });
    expect(toRequest(one).query['signature']).not.toBe(toRequest(other).query['signature']);
    const empty = signUrl(signing, key, { method: 'GET', expiresInS: 60, filename: '' });
    expect(() =>
      verifySignedUrl(signing, {
        ...toRequest(empty),
        query: { ...toRequest(empty).query, filename: undefined },
      }),
    ).toThrow();
  });

  test('expire at the exact second', () => {
    const request = toRequest(signUrl(signing, key, download));
    expect(verifySignedUrl({ ...signing, now: () => 1_800_000_059_999 }, request).key).toBe(key);
    expect(() => verifySignedUrl({ ...signing, now: () => 1_800_000_060_000 }, request)).toThrow(
      expect.objectContaining({ status: 403, code: 'signed_url_expired' }),
    );
  });

  test('stay valid after a rotation while the old secret is listed', () => {
    const request = toRequest(signUrl(signing, key, download));
    const rotated = { ...signing, secret: 'another-secret-of-more-than-32-chars' };
    expect(verifySignedUrl({ ...rotated, previousSecrets: [signing.secret] }, request).key).toBe(key);
    expect(() => verifySignedUrl(rotated, request)).toThrow(/does not match/);
  });

  test.each([0, -1, 1.5, Number.NaN, 604_801])('an expiry of %p s is rejected', (expiresInS) => {
    expect(() => signUrl(signing, key, { method: 'GET', expiresInS })).toThrow(/expiry of a signed URL/);
  });

  test('an invalid key is not signed', () => {
    expect(() => signUrl(signing, 'a/../b', download)).toThrow(
      expect.objectContaining({ code: 'invalid_key' }),
    );
  });
});
