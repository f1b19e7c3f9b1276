/** Media between the API and a provider: bytes with their type, where the wire has a source or a reference. */
import type { MediaObject, MediaSource } from '@millrace/contracts';

export interface Media {
  readonly bytes: Uint8Array;
  /** MIME type, true to the bytes. */
  readonly type: string;
  /** In pixels, where known. */
  readonly width?: number;
  readonly height?: number;
  /** Of sound and film, where known. */
  readonly seconds?: number;
}

/** A body as a provider gets it: each source fetched, judged and scaled. */
export type Resolved<T> = T extends MediaSource
  ? Media
  : T extends readonly (infer Item)[]
    ? Resolved<Item>[]
    : T extends object
      ? { [Key in keyof T]: Resolved<T[Key]> }
      : T;

/** An answer as a provider gives it: bytes where the wire has a reference. */
export type Produced<T> = T extends MediaObject
  ? Media
  : T extends readonly (infer Item)[]
    ? Produced<Item>[]
    : T extends object
      ? { [Key in keyof T]: Produced<T[Key]> }
      : T;

export type MediaType = 'image' | 'audio' | 'video';

/** What a piece of media in an input must be, and what is made of it before a provider sees it. */
export interface MediaRule {
  readonly is: readonly (MediaType | 'document')[];
  /** Bytes of the file as it comes. */
  readonly maxBytes: number;
  /** Images: pixels of the file as it comes, before it is decoded. */
  readonly maxPixels?: number;
  /** Images: scaled down to fit a square of so many pixels a side. Unset: passed on as they came. */
  readonly fitPixels?: number;
}

/** Where a body holds a source, and how what it stood for is put in its place. */
export interface MediaSlot {
  /** Path of the field, for messages. */
  readonly param: string;
  readonly rule: MediaRule;
  readonly source: string;
  readonly put: (media: Media) => void;
}

const mebibyte = 2 ** 20;

export const imageRule: MediaRule = { is: ['image'], maxBytes: 32 * mebibyte, maxPixels: 50_000_000 };
export const audioRule: MediaRule = { is: ['audio', 'video'], maxBytes: 128 * mebibyte };

/** An image that a model looks at but does not give back: no model sees more than so many pixels. */
export const seenImage: MediaRule = { ...imageRule, fitPixels: 2_048 };

export function isMedia(value: unknown): value is Media {
  return typeof value === 'object' && value !== null && (value as Media).bytes instanceof Uint8Array;
}

/** Takes an answer's media out, in the order they stand in, and leaves a reference for each. */
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
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, detachMedia(item, media)]));
}
