/** What bytes are, by how they begin; what a file or a header calls itself is a claim. */

const ascii = (bytes: Buffer, from: number, to: number) => bytes.toString('latin1', from, to);

/** Signatures from each format's specification. @returns a MIME type; null where none is known. */
export function detectMimeType(bytes: Buffer): string | null {
  const head = ascii(bytes, 0, 12);
  if (head.startsWith('\x89PNG\r\n\x1a\n')) return 'image/png';
  if (head.startsWith('\xff\xd8\xff')) return 'image/jpeg';
  if (/^GIF8[79]a/.test(head)) return 'image/gif';
  if (head.startsWith('BM')) return 'image/bmp';
  if (head.startsWith('II*\0') || head.startsWith('MM\0*')) return 'image/tiff';
  if (head.startsWith('%PDF-')) return 'application/pdf';
  if (head.startsWith('RIFF')) {
    const form = ascii(bytes, 8, 12);
    return { WEBP: 'image/webp', WAVE: 'audio/wav', 'AVI ': 'video/x-msvideo' }[form] ?? null;
  }
  if (head.startsWith('fLaC')) return 'audio/flac';
  if (head.startsWith('OggS')) return 'audio/ogg';
  if (head.startsWith('ID3') || /^\xff[\xe2-\xff]/.test(head)) return 'audio/mpeg';
  if (head.startsWith('\x1aE\xdf\xa3')) return 'video/webm';
  if (ascii(bytes, 4, 8) === 'ftyp') return ofBrand(ascii(bytes, 8, 12));
  return null;
}

function ofBrand(brand: string): string {
  if (brand.startsWith('avi')) return 'image/avif';
  if (/^(hei|hev|mif)/.test(brand)) return 'image/heif';
  return brand.startsWith('M4A') ? 'audio/mp4' : 'video/mp4';
}
