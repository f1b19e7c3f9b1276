/** @param size for example `1024x768`; any other text has no width and height. */
export function parseImageSize(size?: string): { width?: number; height?: number } {
  const [, width, height] = /^(\d+)x(\d+)$/.exec(size ?? '') ?? [];
  return width ? { width: Number(width), height: Number(height) } : {};
}
