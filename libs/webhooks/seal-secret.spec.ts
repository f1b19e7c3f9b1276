import { createSealer, UnsealFailed } from './seal-secret.ts';
import { createSigningSecret, buildSecretHint } from './sign-webhook.ts';
import { maxPayloadBytes, buildPayload } from './build-payload.ts';

const sealer = createSealer('0123456789abcdef0123456789abcdef');

describe('a sealed text', () => {
  const sealed = sealer.seal('whsec_secret', 'for one');
  test('opens for its purpose', () => {
    expect(sealer.open(sealed, 'for one')).toBe('whsec_secret');
    expect(sealed.toString('latin1')).not.toContain('secret');
  });
  test('is different each time', () => {
    expect(sealer.seal('whsec_secret', 'for one').equals(sealed)).toBe(false);
  });
  test('does not open for another purpose, under another key, changed, or truncated', () => {
    expect(() => sealer.open(sealed, 'for another')).toThrow(UnsealFailed);
    expect(() => createSealer('another secret of thirty-two chars').open(sealed, 'for one')).toThrow(
      UnsealFailed,
    );
    for (let at = 0; at < sealed.length; at++) {
      const changed = Buffer.from(sealed);
      changed[at]! ^= 1;
      expect(() => sealer.open(changed, 'for one')).toThrow(UnsealFailed);
      expect(() => sealer.open(sealed.subarray(0, at), 'for one')).toThrow(UnsealFailed);
    }
  });
  test('has an error that names the purpose', () => {
    expect(() => sealer.open(sealed, 'for another')).toThrow(/for another.*MILLRACE_SECRET/);
  });
});

test('a hint shows the last four characters of a secret', () => {
  const secret = createSigningSecret();
  expect(buildSecretHint(secret)).toMatch(/^whsec_….{4}$/);
  expect(secret).toContain(buildSecretHint(secret).slice(-4));
});

describe('a payload', () => {
  const event = { id: 'evt_1', type: 'batch.progress', createdAt: new Date(1_700_000_000_900) };
  test("has the event's id, its time in seconds, and its data", () => {
    const body = buildPayload({ ...event, data: { id: 'batch_1', progress: 10 } });
    expect(JSON.parse(body)).toEqual({
      id: 'evt_1',
      object: 'event',
      created_at: 1_700_000_000,
      type: 'batch.progress',
      data: { id: 'batch_1', progress: 10 },
    });
  });
  test('stays below 20 kB: longer data is reduced to its id', () => {
    const body = buildPayload({ ...event, data: { id: 'batch_1', message: 'é'.repeat(10_000) } });
    expect(Buffer.byteLength(body)).toBeLessThan(maxPayloadBytes);
    expect(JSON.parse(body)).toMatchObject({ id: 'evt_1', data: { id: 'batch_1' } });
  });
});
