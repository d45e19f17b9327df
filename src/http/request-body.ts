/**
 * Reads a body, JSON or a form, strictly and within bounds. The bytes are counted as they arrive: `Content-Length` is only the
 * caller's word, and may be absent. Reading stops at the first byte too many, so memory stays bounded by the limit
 * whatever is sent; and when its time is up, so that whoever sends a byte now and then does not hold that memory for ever.
 */
import { TIMED_OUT, within } from '../base/clock.ts';
import { ConcordError, invalidField } from '../protocol/errors.ts';
import { LIMITS, TIMES } from '../protocol/limits.ts';
import { exchangeOf } from './request.ts';

/** `application/json`, alone or with a charset of UTF-8 (JSON has no other: RFC 8259 section 8.1). */
const JSON_CONTENT = /^application\/json\s*(?:;\s*charset\s*=\s*"?utf-8"?\s*)?;?\s*$/i;

const EMPTY = 'the body is empty; JSON is expected';

/**
 * The parsed body of `request`; where it may be absent, an object without fields if it is.
 * Errors: UNSUPPORTED_MEDIA_TYPE, PAYLOAD_TOO_LARGE (over `bytes_max`), VALIDATION_ERROR (absent, not UTF-8, not JSON).
 */
export async function readJson(request: Request, bytes_max: number, may_be_absent = false): Promise<unknown> {
  const { headers } = request;
  if (may_be_absent && (request.body === null || headers.get('content-length') === '0')) return {};
  // Nothing was sent, so nothing is of the wrong type: what is missing is the fields.
  if (request.body === null && !headers.has('content-type')) throw invalidField('', EMPTY);
  if (!JSON_CONTENT.test(headers.get('content-type') ?? '')) throw new ConcordError('UNSUPPORTED_MEDIA_TYPE');
  const encoding = headers.get('content-encoding') ?? 'identity';
  if (encoding.toLowerCase() !== 'identity')
    throw new ConcordError('UNSUPPORTED_MEDIA_TYPE', 'Send the body without a content-encoding.');
  if (Number(headers.get('content-length') ?? 0) > bytes_max) throw tooLarge(bytes_max);
  return parse(await readBytes(request, bytes_max));
}

/** What browsers send from a form. */
const FORM_CONTENT = /^application\/x-www-form-urlencoded\s*(?:;|$)/i;

/**
 * The fields of a form that was posted; of a field that is there twice, the last. Errors: UNSUPPORTED_MEDIA_TYPE,
 * PAYLOAD_TOO_LARGE (over `bytes_max`).
 */
export async function readForm(request: Request, bytes_max: number): Promise<Readonly<Record<string, string>>> {
  if (!FORM_CONTENT.test(request.headers.get('content-type') ?? ''))
    throw new ConcordError('UNSUPPORTED_MEDIA_TYPE', 'Send a form: application/x-www-form-urlencoded.');
  const text = new TextDecoder().decode(await readBytes(request, bytes_max));
  return Object.fromEntries(new URLSearchParams(text));
}

async function readBytes(request: Request, bytes_max: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  if (request.body === null) return new Uint8Array();
  const reader: ReadableStreamDefaultReader<Uint8Array> = request.body.getReader();
  const { clock } = exchangeOf(request);
  const ends_at = clock.monotonic() + TIMES.body_patience_ms + (bytes_max / LIMITS.body_bytes_per_second_min) * 1000;
  const read = async () => {
    const step = await within(clock, Math.max(0, ends_at - clock.monotonic()), reader.read());
    if (step === TIMED_OUT) throw invalidField('', 'the body did not arrive in time');
    return step;
  };
  try {
    for (let step = await read(); !step.done; step = await read()) {
      total += step.value.byteLength;
      if (total > bytes_max) throw tooLarge(bytes_max);
      chunks.push(step.value);
    }
  } catch (error) {
    // Not awaited: of a caller who sends nothing it may not settle.
    void reader.cancel().catch(() => {});
    throw error instanceof ConcordError ? error : invalidField('', 'the body ended before all of it arrived');
  }
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, total);
}

function parse(bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw invalidField('', 'the body is not UTF-8');
  }
  try {
    return JSON.parse(text);
  } catch {
    throw invalidField('', text.trim() === '' ? EMPTY : 'the body is not JSON');
  }
}

function tooLarge(bytes_max: number): ConcordError {
  return new ConcordError('PAYLOAD_TOO_LARGE', `The request body is larger than ${bytes_max} bytes.`);
}
