/** Media in a provider's response. The type is detected from the bytes, because servers often report another one. */
import { fileTypeFromBuffer } from 'file-type';
import type { Media } from '#catalogue';

/** @param reportedType the type that the provider reports; used if the bytes are not of a known media type. */
export async function toMedia(bytes: Uint8Array, reportedType: string): Promise<Media> {
  const detected = await fileTypeFromBuffer(bytes);
  const isMedia = detected && /^(image|audio|video)\//.test(detected.mime);
  return { bytes, type: stripParameters(isMedia ? detected.mime : reportedType) };
}

const stripParameters = (type: string) => type.split(';')[0]!.trim();

/** Reads the whole body. @param defaultType used if the response has no `content-type`. */
export async function readMedia(response: Response, defaultType: string): Promise<Media> {
  const reportedType = response.headers.get('content-type') ?? defaultType;
  return toMedia(new Uint8Array(await response.arrayBuffer()), reportedType);
}
