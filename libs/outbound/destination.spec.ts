import {
  parseAllowedHosts,
  assertPublic,
  parseDestination,
  RefusedUrl,
  type UrlPolicy,
} from './destination.ts';
import { resolveAllowedAddresses } from './guarded-connector.ts';
import { findNonPublicReason } from './public-address.ts';

const policy: UrlPolicy = { schemes: ['http', 'https'], ports: [80, 443], allowHosts: [] };
const strict: UrlPolicy = { schemes: ['https'], ports: [443], allowHosts: [] };
const code = (url: string, deps = policy) => {
  try {
    parseDestination(url, deps);
    return null;
  } catch (error) {
    return (error as RefusedUrl).code;
  }
};

/** Ways to write an address that is not public. Each is refused without a DNS look-up. */
const internal = [
  ['loopback', 'http://127.0.0.1/'],
  ['any of the loopback net', 'http://127.8.8.8/'],
  ['short', 'http://127.1/'],
  ['shorter', 'http://127.0.1/'],
  ['decimal', 'http://2130706433/'],
  ['octal', 'http://017700000001/'],
  ['octal parts', 'http://0177.0.0.01/'],
  ['octal parts with many zeros', 'http://0000000177.0.0.1/'],
  ['hexadecimal', 'http://0x7f000001/'],
  ['hexadecimal parts', 'http://0x7f.0x0.0x0.0x1/'],
  ['mixed bases', 'http://0x7f.1/'],
  ['upper-case hexadecimal', 'http://0X7F.0.0.1/'],
  ['a dot at the end', 'http://127.0.0.1./'],
  ['percent-encoded', 'http://%31%32%37.0.0.1/'],
  ['percent-encoded dots', 'http://127%2e0%2e0%2e1/'],
  ['full-width digits', 'http://１２７.０.０.１/'],
  ['circled digits', 'http://①②⑦.⓪.⓪.①/'],
  ['ideographic full stops', 'http://127。0。0。1/'],
  ['half-width full stops', 'http://127｡0｡0｡1/'],
  ['a port', 'http://127.0.0.1:80/'],
  ['this network', 'http://0.0.0.0/'],
  ['this network, short', 'http://0/'],
  ['this network, another of it', 'http://0.1.2.3/'],
  ['10/8', 'http://10.0.0.1/'],
  ['10/8 decimal', 'http://167772161/'],
  ['172.16/12, its start', 'http://172.16.0.1/'],
  ['172.16/12, its end', 'http://172.31.255.254/'],
  ['192.168/16', 'https://192.168.1.1/'],
  ['link-local: the metadata service', 'http://169.254.169.254/latest/meta-data/'],
  ['the metadata service, decimal', 'http://2852039166/'],
  ['the metadata service, hexadecimal', 'http://0xA9FEA9FE/'],
  ['the metadata service, octal', 'http://0251.0376.0251.0376/'],
  ['carrier-grade NAT', 'http://100.64.0.1/'],
  ['carrier-grade NAT: Alibaba’s metadata', 'http://100.100.100.200/'],
  ['carrier-grade NAT, its end', 'http://100.127.255.255/'],
  ['protocol assignments', 'http://192.0.0.192/'],
  ['TEST-NET-1', 'http://192.0.2.1/'],
  ['TEST-NET-2', 'http://198.51.100.7/'],
  ['TEST-NET-3', 'http://203.0.113.9/'],
  ['6to4 relays', 'http://192.88.99.1/'],
  ['benchmarking', 'http://198.19.255.255/'],
  ['multicast', 'http://224.0.0.1/'],
  ['reserved', 'http://240.0.0.1/'],
  ['broadcast', 'http://255.255.255.255/'],
  ['AMT', 'http://192.52.193.1/'],
  ['AS112', 'http://192.175.48.1/'],
  ['Azure’s wire server', 'http://168.63.129.16/'],
  ['IPv6 loopback', 'http://[::1]/'],
  ['IPv6 loopback in full', 'http://[0:0:0:0:0:0:0:1]/'],
  ['IPv6 unspecified', 'http://[::]/'],
  ['mapped loopback', 'http://[::ffff:127.0.0.1]/'],
  ['mapped loopback in hexadecimal', 'http://[::ffff:7f00:1]/'],
  ['mapped private', 'http://[::ffff:10.0.0.1]/'],
  ['mapped metadata', 'http://[::ffff:a9fe:a9fe]/'],
  ['compatible loopback', 'http://[::127.0.0.1]/'],
  ['translated', 'http://[::ffff:0:127.0.0.1]/'],
  ['NAT64 of loopback', 'http://[64:ff9b::127.0.0.1]/'],
  ['NAT64 of metadata', 'http://[64:ff9b::a9fe:a9fe]/'],
  ['NAT64, local use', 'http://[64:ff9b:1::8.8.8.8]/'],
  ['6to4 of loopback', 'http://[2002:7f00:1::]/'],
  ['6to4 of private', 'http://[2002:a00:1::1]/'],
  ['Teredo', 'http://[2001:0:53aa:64c::1]/'],
  ['ISATAP', 'http://[2600::5efe:a00:1]/'],
  ['ISATAP, universal bit', 'http://[2600::200:5efe:7f00:1]/'],
  ['unique local', 'http://[fc00::1]/'],
  ['unique local: AWS’s metadata', 'http://[fd00:ec2::254]/'],
  ['IPv6 link-local', 'http://[fe80::1]/'],
  ['site-local', 'http://[fec0::1]/'],
  ['IPv6 multicast', 'http://[ff02::1]/'],
  ['IPv6 documentation', 'http://[2001:db8::1]/'],
  ['IPv6 documentation, the newer', 'http://[3fff::1]/'],
  ['discard-only', 'http://[100::1]/'],
  ['ORCHIDv2', 'http://[2001:20::1]/'],
  ['segment routing', 'http://[5f00::1]/'],
  ['IPv6 that is not assigned', 'http://[4000::1]/'],
  ['localhost', 'http://localhost/'],
  ['LOCALHOST', 'http://LOCALHOST/'],
  ['localhost with a dot', 'http://localhost./'],
  ['below localhost', 'http://app.localhost/'],
  ['full-width localhost', 'http://ｌｏｃａｌｈｏｓｔ/'],
  ['a bare name', 'http://postgres/'],
  ['Google’s metadata', 'http://metadata.google.internal/'],
  ['mDNS', 'http://printer.local/'],
  ['home network', 'http://nas.home.arpa/'],
  ['a cluster’s service', 'http://redis.default.svc.cluster.local/'],
] as const;

test.each(internal)('refuses %s', (_, url) => {
  expect(code(url)).toMatch(/^url_(address|host)_refused$/);
});

test('the table has at least sixty forms', () => {
  expect(new Set(internal.map(([, url]) => url)).size).toBeGreaterThanOrEqual(60);
});

test.each([
  ['no URL', 'hooks.example.com', 'url_invalid'],
  ['an empty text', '', 'url_invalid'],
  ['a zone id', 'http://[fe80::1%25eth0]/', 'url_invalid'],
  ['a number too large', 'http://4294967296/', 'url_invalid'],
  ['five parts', 'http://1.2.3.4.5/', 'url_invalid'],
  ['a newline', 'http://exa\nmple.com/', 'url_invalid'],
  ['a tab', 'http://example.com\t/', 'url_invalid'],
  ['a leading space', ' http://example.com/', 'url_invalid'],
  ['a NUL', 'http://example.com/\0', 'url_invalid'],
  ['a backslash', 'http://example.com\\@127.0.0.1/', 'url_invalid'],
  ['2,049 characters', `http://example.com/${'a'.repeat(2_030)}`, 'url_invalid'],
  ['file', 'file:///etc/passwd', 'url_scheme_refused'],
  ['ftp', 'ftp://example.com/', 'url_scheme_refused'],
  ['gopher', 'gopher://127.0.0.1:6379/_FLUSHALL', 'url_scheme_refused'],
  ['data', 'data:text/plain,hello', 'url_scheme_refused'],
  ['javascript', 'javascript:alert(1)', 'url_scheme_refused'],
  ['unix', 'unix:///var/run/docker.sock', 'url_scheme_refused'],
  ['a password', 'https://user:pass@example.com/', 'url_credentials_refused'],
  ['a user that looks like the host', 'https://example.com@10.0.0.1/', 'url_credentials_refused'],
  ['Redis’ port', 'http://example.com:6379/', 'url_port_refused'],
  ['port 8080', 'http://example.com:8080/', 'url_port_refused'],
  ['port 0', 'http://example.com:0/', 'url_port_refused'],
])('refuses %s', (_, url, expected) => {
  expect(code(url)).toBe(expected);
});

test.each([
  'https://example.com/hook?a=1#b',
  'http://example.com',
  'https://example.com:443/',
  'https://bücher.example/',
  'https://8.8.8.8/',
  'https://172.32.0.1/',
  'https://100.128.0.1/',
  'https://[2606:4700::1111]/',
  'https://[::ffff:8.8.8.8]/',
  'https://[64:ff9b::8.8.8.8]/',
  'https://localhost.example.com/',
])('accepts %s', (url) => {
  expect(code(url)).toBeNull();
});

test('accepts https only, when the policy requires it', () => {
  expect(code('http://example.com/', strict)).toBe('url_scheme_refused');
  expect(code('https://example.com:80/', strict)).toBe('url_port_refused');
  expect(code('https://example.com/', strict)).toBeNull();
});

describe('hosts that the operator allows', () => {
  const allowing: UrlPolicy = {
    ...strict,
    allowHosts: parseAllowedHosts([
      '127.0.0.1',
      'receiver.test:8080',
      '[::1]:9000',
      '::2',
      '[::3]',
      'Bücher.test',
    ]),
  };
  test.each([
    'http://127.0.0.1:4000/hook',
    'https://127.0.0.1/',
    'http://2130706433:99/',
    'http://receiver.test:8080/',
    'http://RECEIVER.test.:8080/',
    'http://[::1]:9000/',
    'http://[0::2]/',
    'http://[::3]:1234/',
    'http://xn--bcher-kva.test/',
  ])('%s', (url) => expect(code(url, allowing)).toBeNull());

  test.each([
    'http://127.0.0.2/',
    'http://receiver.test:8081/',
    'https://evil.receiver.test.localhost/',
    'http://[::1]:9001/',
    'http://localhost/',
    'ftp://127.0.0.1/',
    'http://a:b@127.0.0.1/',
  ])('not %s', (url) => expect(code(url, allowing)).not.toBeNull());

  test.each(['', 'http://x', 'a b', 'x@y', 'host/path', '[::1'])(
    '%j is not a valid entry of the list',
    (entry) => {
      expect(() => parseAllowedHosts([entry])).toThrow(RangeError);
    },
  );

  test('a name is not allowed because it resolves to an allowed address', async () => {
    const resolved = resolveAllowedAddresses('https://evil.example/', {
      ...allowing,
      resolve: async () => ['127.0.0.1'],
    });
    await expect(resolved).rejects.toMatchObject({ code: 'url_address_refused' });
  });
});

describe('the addresses of a name', () => {
  const resolveTo = (...addresses: string[]) =>
    resolveAllowedAddresses('https://hooks.example/', { ...strict, resolve: async () => addresses });

  test('public addresses', async () => {
    expect(await resolveTo('93.184.216.34', '2606:2800:220:1::1')).toHaveLength(2);
  });
  test.each([
    ['10.0.0.1'],
    ['93.184.216.34', '127.0.0.1'],
    ['93.184.216.34', '::ffff:10.0.0.1'],
    ['fe80::1'],
  ])('refuses %j %j', async (...addresses) => {
    await expect(resolveTo(...addresses)).rejects.toMatchObject({ code: 'url_address_refused' });
  });
  test('fails without addresses', async () => {
    await expect(resolveTo()).rejects.toMatchObject({ code: 'url_host_not_found' });
  });
});

test('a refusal never contains the URL', () => {
  for (const url of ['https://user:s3cret@example.com/', 'https://10.0.0.1/?token=s3cret']) {
    expect(() => parseDestination(url, policy)).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('s3cret') }),
    );
  }
});

test('text that is not an address is not public', () => {
  expect(findNonPublicReason('example.com')).toBe('invalid');
  expect(findNonPublicReason('fe80::1%eth0')).not.toBeNull();
  expect(() => assertPublic(['8.8.8.8', 'nonsense'])).toThrow(RefusedUrl);
});
