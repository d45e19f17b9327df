/**
 * Which addresses may stand in a link, an image or a video, wherever content comes in from Markdown or HTML or goes out
 * as either. Everything that is not known to be harmless is refused: the text stays, the address goes.
 *
 * A browser forgives much before it reads a scheme: it drops tabs, line ends and leading control characters, and Markdown
 * and HTML decode entities first. So the scheme is looked for with all of these taken out, it must also be there without
 * taking them out, and an address without a scheme may not hold in its first segment what could become one.
 */

/** Where the address is to stand. */
export type UrlUse = 'link' | 'image' | 'video';

const SCHEMES: Readonly<Record<UrlUse, ReadonlySet<string>>> = {
  link: new Set(['http', 'https', 'mailto', 'tel', 'sms']),
  image: new Set(['http', 'https']),
  video: new Set(['http', 'https']),
};

const IGNORED = /[\s\p{Cc}\p{Cf}\p{Noncharacter_Code_Point}]+/gu;
const CONTROLS = /[\p{Cc}\p{Noncharacter_Code_Point}\u2028\u2029]+/gu;
const SCHEME = /^([a-z][a-z0-9+.-]*):/i;
const RASTER_IMAGE = /^data:image\/(?:png|jpe?g|gif|webp|avif|bmp);base64,[a-z0-9+/=]*$/i;
/** What a decoder could turn into `:`, within the part of an address where a scheme would stand. */
const COULD_BECOME_SCHEME = /^[^/?#]*?(?:[:&\\]|%3a)/i;

/** The address, without control characters, if it may stand there; null if not. */
export function safeUrl(value: unknown, use: UrlUse): string | null {
  if (typeof value !== 'string') return null;
  const url = value.toWellFormed().replace(CONTROLS, '').trim();
  const bare = url.replace(IGNORED, '');
  if (bare === '') return null;
  const scheme = SCHEME.exec(bare)?.[1]?.toLowerCase();
  if (scheme === undefined) return use === 'video' || COULD_BECOME_SCHEME.test(bare) ? null : url;
  if (SCHEME.exec(url)?.[1]?.toLowerCase() !== scheme) return null;
  if (SCHEMES[use].has(scheme)) return url;
  return use === 'image' && RASTER_IMAGE.test(url) ? url : null;
}
