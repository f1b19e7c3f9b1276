/** Media between the API and a provider: bytes and their type, in place of a source or a reference. */
import type { MediaObject, MediaSource } from '@millrace/contracts';

export interface Media {
  readonly bytes: Uint8Array;
  /** MIME type, detected from the bytes. */
  readonly type: string;
  /** In pixels, if known. */
  readonly width?: number;
  readonly height?: number;
  /** Duration of audio and video, if known. */
  readonly seconds?: number;
}

/** A body as a provider gets it: each media source is fetched, validated and scaled. */
export type Resolved<T> = T extends MediaSource
  ? Media
  : T extends readonly (infer Item)[]
    ? Resolved<Item>[]
    : T extends object
      ? { [Key in keyof T]: Resolved<T[Key]> }
      : T;

/** An answer as a provider returns it: bytes in place of references. */
export type Produced<T> = T extends MediaObject
  ? Media
  : T extends readonly (infer Item)[]
    ? Produced<Item>[]
    : T extends object
      ? { [Key in keyof T]: Produced<T[Key]> }
      : T;

export type MediaType = 'image' | 'audio' | 'video';

/** What an input medium must be, and how it is scaled for the provider. */
export interface MediaRule {
  readonly types: readonly (MediaType | 'document')[];
  /** Size of the file as sent. */
  readonly maxBytes: number;
  /** Images: pixels as sent, checked before decoding. */
  readonly maxPixels?: number;
  /** Images: scaled down to fit a square with this side. Unset: not scaled. */
  readonly fitPixels?: number;
}

/** A field of a body that holds a media source. */
export interface MediaField {
  /** Path of the field, for messages. */
  readonly param: string;
  readonly rule: MediaRule;
  readonly source: string;
  /** Replaces the source in the body with the media. */
  readonly replace: (media: Media) => void;
}

const mebibyte = 2 ** 20;

export const imageRule: MediaRule = { types: ['image'], maxBytes: 32 * mebibyte, maxPixels: 50_000_000 };
export const audioRule: MediaRule = { types: ['audio', 'video'], maxBytes: 128 * mebibyte };

/** An image that is only looked at, not transformed: no model reads more than 2,048 pixels a side. */
export const downscaledImageRule: MediaRule = { ...imageRule, fitPixels: 2_048 };

export function isMedia(value: unknown): value is Media {
  return typeof value === 'object' && value !== null && (value as Media).bytes instanceof Uint8Array;
}

/** Moves the media of an answer to `media`, in order, and leaves a reference in place of each. */
export function detachMedia(value: unknown, media: Media[]): unknown {
  if (isMedia(value)) {
    const { bytes, type, width, height, seconds } = value;
    media.push(value);
    return {
      object: 'media',
      index: media.length - 1,
      content_type: type,
      bytes: bytes.byteLength,
      width,
      height,
      seconds,
    } satisfies MediaObject;
  }
  if (Array.isArray(value)) return value.map((item) => detachMedia(item, media));
  if (typeof value !== 'object' || value === null || isRawNumber(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, detachMedia(item, media)]));
}

/** A number of a provider's answer that a double cannot hold. `JSON.stringify` writes its digits (`JSON.rawJSON`). */
const isRawNumber = (value: object): boolean =>
  (JSON as { isRawJSON?(value: object): boolean }).isRawJSON?.(value) ?? false;
