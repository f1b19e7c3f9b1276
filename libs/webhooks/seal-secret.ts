/**
 * Encrypts secrets at rest with AES-256-GCM (NIST SP 800-38D), under a key derived from `MILLRACE_SECRET` (HKDF, RFC
 * 5869). The purpose is authenticated as associated data: a sealed secret that is copied to another row does not open.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

export interface Sealer {
  /** @param purpose such as `signing secret of we_…`. */
  seal(text: string, purpose: string): Buffer;
  /** @throws SealBroken */
  open(sealed: Buffer, purpose: string): string;
}

/** The secret was sealed under another key or for another purpose, or was changed. */
export class UnsealFailed extends Error {
  override readonly name = 'SealBroken';
}

/** Version 1: this byte, nonce, tag, ciphertext. Another key or cipher gets another number. */
const formatVersion = 1;
const [nonceBytes, tagBytes] = [12, 16];

/** @param secret at least 32 characters. */
export function createSealer(secret: string): Sealer {
  const key = Buffer.from(hkdfSync('sha256', secret, '', 'millrace webhook secrets', 32));
  return {
    seal(text, purpose) {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(purpose));
      const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
      return Buffer.concat([Buffer.of(formatVersion), nonce, cipher.getAuthTag(), sealed]);
    },
    open(sealed, purpose) {
      const [nonceEnd, tagEnd] = [1 + nonceBytes, 1 + nonceBytes + tagBytes];
      try {
        if (sealed[0] !== formatVersion) throw new RangeError('unknown format version');
        const nonce = sealed.subarray(1, nonceEnd);
        const cipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes })
          .setAAD(Buffer.from(purpose))
          .setAuthTag(sealed.subarray(nonceEnd, tagEnd));
        return Buffer.concat([cipher.update(sealed.subarray(tagEnd)), cipher.final()]).toString('utf8');
      } catch (cause) {
        throw new UnsealFailed(`the ${purpose} cannot be opened: was MILLRACE_SECRET changed?`, { cause });
      }
    },
  };
}
