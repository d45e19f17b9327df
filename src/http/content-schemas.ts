/** How content looks in requests and responses. */
import Type from 'typebox';
import { CONTENT_FORMATS } from '../protocol/content/formats.ts';
import { oneOf } from './schemas.ts';

/** A revision in a query, as digits. */
export const REV_QUERY = Type.Optional(
  Type.String({
    pattern: '^(?:0|[1-9][0-9]{0,14})$',
    description: 'A revision of the past; the present one when absent. Beyond the head: `NOT_FOUND`',
    examples: ['42'],
    'x-refusal': 'must be a revision, a whole number from 0',
  }),
);

/** A revision number in a body or a response. */
export function revision(description: string) {
  return Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description, examples: [42] });
}

/** A delta's ops. What an op may be is checked by hand further in (content/delta.ts), with a path to the flaw. */
export function deltaOps(description: string) {
  return Type.Array(
    Type.Unknown({
      description:
        'One of `{insert, attributes?}` (text, or an embed as an object of one key), `{retain, attributes?}` and ' +
        '`{delete}`; lengths in UTF-16 code units',
    }),
    { description, examples: [[{ insert: 'Hello ' }, { insert: 'world', attributes: { bold: true } }]] },
  );
}

/** Which format content is in. */
export const CONTENT_FORMAT = oneOf(
  CONTENT_FORMATS,
  '`delta`: Quill Delta ops; `text`: plain text, an embed being U+FFFC; `markdown`; `html`; `yjs`: the whole Yjs state ' +
    'as an update (version 1), in base64',
);

/** The content itself. */
export const CONTENT_VALUE = Type.Union([Type.String(), deltaOps('With format `delta`')], {
  description: 'Ops for `delta`, a string for all other formats; line ends become `\\n`',
});
