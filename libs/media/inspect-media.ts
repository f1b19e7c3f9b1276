/** Whether bytes are what a kind takes: their form, their size, and for images their pixels, before any is decoded. */
import sharp, { type Metadata } from 'sharp';
import type { Media, MediaRule } from '#catalogue';
import { InvalidInput } from '#domain';
import { detectMimeType } from './detect-mime-type.ts';

const megabytes = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MB`;

const refuse = (param: string, code: string, message: string) =>
  new InvalidInput(`'${param}': ${message}`, { code, param });

/** @param declared MIME type that came with them. @throws InvalidInput */
export function checkMediaType(
  bytes: Buffer,
  declared: string | null,
  rule: MediaRule,
  param: string,
): string {
  if (bytes.length > rule.maxBytes) throw mediaTooLarge(rule, param);
  const type = detectMimeType(bytes);
  const wanted = rule.is.join(' or ');
  if (!type || !rule.is.includes(familyOf(type))) {
    const found = type ?? 'nothing known here';
    throw refuse(param, 'wrong_media_type', `these bytes are ${found}; send ${wanted}, SVG excepted.`);
  }
  if (declared && declared !== 'application/octet-stream' && declared.split('/')[0] !== type.split('/')[0]) {
    throw refuse(param, 'wrong_media_type', `it says ${declared}, and its bytes are ${type}.`);
  }
  return type;
}

export const mediaTooLarge = (rule: MediaRule, param: string) =>
  refuse(param, 'media_too_large', `media here are ${megabytes(rule.maxBytes)} at most.`);

/** @throws InvalidInput where it is no whole picture, or has too many pixels. */
export async function readImageMetadata(bytes: Buffer, rule: MediaRule, param: string): Promise<Metadata> {
  let metadata: Metadata;
  try {
    metadata = await sharp(bytes, { limitInputPixels: false }).metadata();
  } catch {
    throw refuse(param, 'broken_image', 'this image is damaged, or of a form that is not known here.');
  }
  const { width, height } = metadata;
  if (rule.maxPixels && width * height > rule.maxPixels) {
    throw refuse(
      param,
      'too_many_pixels',
      `this image is ${width} × ${height}; ${rule.maxPixels.toLocaleString('en')} pixels at most.`,
    );
  }
  return metadata;
}

/** Judged, turned upright, and scaled where the rule says so. @throws InvalidInput */
export async function prepareMedia(
  bytes: Buffer,
  declared: string | null,
  rule: MediaRule,
  param: string,
): Promise<Media> {
  const type = checkMediaType(bytes, declared, rule, param);
  if (familyOf(type) !== 'image') return { bytes, type };
  const { width, height, orientation = 1 } = await readImageMetadata(bytes, rule, param);
  const { fitPixels, maxPixels } = rule;
  if (!fitPixels || Math.max(width, height) <= fitPixels) {
    return orientation > 4 ? { bytes, type, width: height, height: width } : { bytes, type, width, height };
  }
  try {
    const image = sharp(bytes, { ...(maxPixels && { limitInputPixels: maxPixels }) }).autoOrient();
    const scaled = image.resize(fitPixels, fitPixels, { fit: 'inside', withoutEnlargement: true });
    const { data, info } = await scaled.webp({ quality: 90 }).toBuffer({ resolveWithObject: true });
    return { bytes: data, type: 'image/webp', width: info.width, height: info.height };
  } catch {
    throw refuse(param, 'broken_image', 'this image is damaged.');
  }
}

function familyOf(type: string): 'image' | 'audio' | 'video' | 'document' {
  const family = type.split('/')[0];
  return family === 'application' ? 'document' : (family as 'image');
}
