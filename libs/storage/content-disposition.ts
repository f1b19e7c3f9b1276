/** The Content-Disposition header of downloads: of the API's own responses and of signed URLs. */

/**
 * RFC 6266: `filename*` has the name in UTF-8 (RFC 8187); `filename` has it in ASCII, with `_` for every other
 * character, for clients that do not read `filename*` (such as `curl -J`).
 */
export function buildContentDisposition(filename: string): string {
  const ascii = filename.replace(/[^\x20-\x7e]|["\\%]/g, '_');
  // `encodeURIComponent` keeps these four characters, which RFC 8187 does not allow. It throws on a lone surrogate.
  const encoded = encodeURIComponent(filename.toWellFormed()).replace(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename="${ascii}"; filename*=UTF-8''${encoded}`;
}
