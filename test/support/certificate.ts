/** Self-signed certificates for any name: X.509 v1 in DER (RFC 5280 §4.1), valid from 2000 to 2049. */
import { generateKeyPairSync, sign } from 'node:crypto';

export interface TestCertificate {
  readonly key: string;
  readonly cert: string;
}

export function createCertificate(name: string): TestCertificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const subject = encodeSequence(
    encodeTag(0x31, encodeSequence(commonName, encodeTag(0x0c, Buffer.from(name)))),
  );
  const validity = encodeSequence(encodeTime('000101000000Z'), encodeTime('491231235959Z'));
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const toSign = encodeSequence(
    encodeTag(0x02, Buffer.of(1)),
    ecdsaWithSha256,
    subject,
    validity,
    subject,
    spki,
  );
  const signature = encodeTag(0x03, Buffer.of(0), sign('sha256', toSign, privateKey));
  const der = encodeSequence(toSign, ecdsaWithSha256, signature).toString('base64');
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return {
    key,
    // The lines between the markers must not be empty.
    cert: ['-----BEGIN CERTIFICATE-----', ...der.match(/.{1,64}/g)!, '-----END CERTIFICATE-----', ''].join(
      '\n',
    ),
  };
}

function encodeTag(tag: number, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const { length } = body;
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...size), body]);
}

const encodeSequence = (...parts: Buffer[]) => encodeTag(0x30, ...parts);
const encodeTime = (text: string) => encodeTag(0x17, Buffer.from(text));
const commonName = encodeTag(0x06, Buffer.from('550403', 'hex'));
const ecdsaWithSha256 = encodeSequence(encodeTag(0x06, Buffer.from('2a8648ce3d040302', 'hex')));
