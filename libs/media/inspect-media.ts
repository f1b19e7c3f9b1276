/** Checks that media is what a kind accepts: type, size and, for images, pixels. An image is checked before it is decoded. */
import type { ErrorCode } from '@millrace/contracts';
import sharp, { type Metadata } from 'sharp';
import type { Media, MediaRule } from '#catalogue';
import { InvalidInput } from '#domain';
import { detectMimeType } from './detect-mime-type.ts';

const toMegabytes = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MB`;

const buildError = (param: string, code: ErrorCode, message: string) =>
  new InvalidInput(`'${param}': ${message}`, { code, param });

/** @param declared the MIME type in the request, if any. @returns the detected MIME type. @throws InvalidInput */
export async function checkMediaType(
  bytes: Buffer,
  declared: string | null,
  rule: MediaRule,
  param: string,
): Promise<string> {
  if (bytes.length > rule.maxBytes) {
    throw buildError(
      param,
      'media_too_large',
      `the file is too large; the limit is ${toMegabytes(rule.maxBytes)}.`,
    );
  }
  const type = await detectMimeType(bytes);
  const family = type && findFamily(type);
  if (!type || !family || !rule.types.includes(family)) {
    const detected = type ? `the file is ${type}` : 'the format of the file is not known';
    const accepted = rule.types.join(' or ');
    throw buildError(param, 'wrong_media_type', `${detected}. Send ${accepted}; SVG is not accepted.`);
  }
  const label = declared && findFamily(declared);
  if (label && !isSameFamily(label, family)) {
    throw buildError(param, 'wrong_media_type', `the declared type is ${declared}, but the file is ${type}.`);
  }
  // Audio and video share containers. Without a video track in mind, servers want the audio type.
  const isAudio =
    label === 'audio' || (label === null && rule.types[0] === 'audio' && isAudioRecording(type));
  return isAudio && family === 'video' ? type.replace('video/', 'audio/') : type;
}

/** Containers that browsers and phones record sound in, detected as video. */
const isAudioRecording = (type: string) => type === 'video/webm' || type === 'video/3gpp';

const isSameFamily = (label: string, family: string) =>
  label === family ||
  (label !== 'image' && label !== 'document' && family !== 'image' && family !== 'document');

/** @throws InvalidInput if the image is damaged or has too many pixels. */
export async function readImageMetadata(bytes: Buffer, rule: MediaRule, param: string): Promise<Metadata> {
  let metadata: Metadata;
  try {
    metadata = await sharp(bytes, { limitInputPixels: false }).metadata();
  } catch {
    throw buildError(param, 'broken_image', 'the image is damaged, or its format is not supported.');
  }
  const { width, height } = metadata;
  if (rule.maxPixels && width * height > rule.maxPixels) {
    const limit = `${rule.maxPixels.toLocaleString('en')} pixels`;
    throw buildError(param, 'too_many_pixels', `the image is ${width} × ${height}; the limit is ${limit}.`);
  }
  return metadata;
}

/** Checks the media. Rotates an image upright and scales it down, if the rule has a size to fit. @throws InvalidInput */
export async function prepareMedia(
  bytes: Buffer,
  declared: string | null,
  rule: MediaRule,
  param: string,
): Promise<Media> {
  const type = await checkMediaType(bytes, declared, rule, param);
  if (findFamily(type) !== 'image') return { bytes, type };
  const { width, height, hasAlpha, orientation = 1 } = await readImageMetadata(bytes, rule, param);
  const { fitPixels, maxPixels } = rule;
  const fits = !fitPixels || Math.max(width, height) <= fitPixels;
  if (fits && acceptedEverywhere.has(type)) {
    // EXIF orientations 5 to 8 swap width and height.
    return orientation > 4 ? { bytes, type, width: height, height: width } : { bytes, type, width, height };
  }
  try {
    const image = sharp(bytes, { ...(maxPixels && { limitInputPixels: maxPixels }) }).autoOrient();
    const scaled = fits
      ? image
      : image.resize(fitPixels, fitPixels, { fit: 'inside', withoutEnlargement: true });
    // What is only looked at may lose a little; what is transformed, or has transparency, may not.
    const isLossless = hasAlpha || !fitPixels;
    const encoded = isLossless ? scaled.png() : scaled.jpeg({ quality: 90 });
    const { data, info } = await encoded.toBuffer({ resolveWithObject: true });
    const sentType = isLossless ? 'image/png' : 'image/jpeg';
    return { bytes: data, type: sentType, width: info.width, height: info.height };
  } catch {
    throw buildError(param, 'broken_image', 'the image is damaged.');
  }
}

/** Formats that every server of image models reads. Any other is sent as one of these. */
const acceptedEverywhere = new Set(['image/png', 'image/jpeg']);

function findFamily(type: string): MediaRule['types'][number] | null {
  if (type === 'application/pdf') return 'document';
  if (type === 'application/ogg') return 'audio';
  if (type === 'application/vnd.ms-asf' || type === 'application/mxf') return 'video';
  const [family] = type.split('/');
  return family === 'image' || family === 'audio' || family === 'video' ? family : null;
}
