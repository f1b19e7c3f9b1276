import { createSealer, UnsealFailed } from './seal-secret.ts';
import { createSigningSecret, buildSecretHint } from './sign-webhook.ts';
import { maxPayloadBytes, buildPayload } from './build-payload.ts';

const sealer = createSealer('0123456789abcdef0123456789abcdef');

describe('a sealed text', () => {
  const sealed = sealer.seal('whsec_secret', 'for one');
  test('opens for what it was sealed for', () => {
    expect(sealer.open(sealed, 'for one')).toBe('whsec_secret');
    expect(sealed.toString('latin1')).not.toContain('secret');
  });
  test('is never the same twice', () => {
    expect(sealer.seal('whsec_secret', 'for one').equals(sealed)).toBe(false);
  });
  test('does not open for another purpose, under another secret, changed, or cut', () => {
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
  test('an error names the purpose and no secret', () => {
    expect(() => sealer.open(sealed, 'for another')).toThrow(/for another.*MILLRACE_SECRET/);
  });
});

test('a hint tells secrets apart and gives none away', () => {
  const secret = createSigningSecret();
  expect(buildSecretHint(secret)).toMatch(/^whsec_….{4}$/);
  expect(secret).toContain(buildSecretHint(secret).slice(-4));
});

describe('a payload', () => {
  const event = { id: 'evt_1', type: 'batch.progress', createdAt: new Date(1_700_000_000_900) };
  test('has the event’s id, its time in seconds, and its data', () => {
    const body = buildPayload({ ...event, data: { id: 'batch_1', progress: 10 } });
    expect(JSON.parse(body)).toEqual({
      id: 'evt_1',
      object: 'event',
      created_at: 1_700_000_000,
      type: 'batch.progress',
      data: { id: 'batch_1', progress: 10 },
    });
  });
  test('stays under 20 kB: what would be longer is the id alone', () => {
    const body = buildPayload({ ...event, data: { id: 'batch_1', message: 'é'.repeat(10_000) } });
    expect(Buffer.byteLength(body)).toBeLessThan(maxPayloadBytes);
    expect(JSON.parse(body)).toMatchObject({ id: 'evt_1', data: { id: 'batch_1' } });
  });
});
