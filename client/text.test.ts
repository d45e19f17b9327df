/** The rules of the client's text, one by one; text-random.test.ts plays them all at once. */
import { describe, expect, test } from 'bun:test';
import Delta, { type Op } from 'quill-delta';
import { SharedText } from './text.ts';

/** A text that received this content at this point, with nothing of its own. */
function textOfServer(content: string, rev = 1): SharedText {
  const text = new SharedText();
  text.replace(1, rev, 0, [{ insert: content }]);
  return text;
}

/** Types and sends; returns what was sent. */
function send(text: SharedText, edit: Delta): Op[] | undefined {
  text.edit(edit);
  return text.take()?.delta.ops;
}

describe('an edit that is in flight', () => {
  test('is alone: what is typed meanwhile is composed into the next one', () => {
    const text = textOfServer('ab');
    expect(send(text, new Delta().insert('1'))).toEqual([{ insert: '1' }]);
    expect(send(text, new Delta().retain(1).insert('2'))).toBeUndefined();
    expect(send(text, new Delta().retain(2).insert('3'))).toBeUndefined();
    text.landed(2, [{ insert: '1' }]);
    expect(text.take()).toEqual({ seq: 2, base_rev: 2, delta: new Delta().retain(1).insert('23') });
  });

  test('is sent again with its seq when the document does not hold it, and only awaited when it does', () => {
    for (const held of [false, true]) {
      const text = textOfServer('ab');
      send(text, new Delta().insert('1'));
      text.disconnected();
      expect(text.resume(1, held ? 1 : 0)).toBe('resumed');
      expect(text.take()?.seq ?? null).toBe(held ? null : 1);
      expect(text.in_flight_seq).toBe(1);
      expect(text.landed(2, [{ insert: '1' }]).ops).toEqual([]);
      expect(text.unconfirmed).toBe(0);
    }
  });

  test('that came to nothing while it was away is dropped, and its seq goes to the next one', () => {
    const text = textOfServer('abc');
    send(text, new Delta().delete(2));
    text.disconnected();
    text.replace(1, 5, 0, [{ insert: 'c' }]);
    expect(send(text, new Delta().retain(1).insert('d'))).toEqual([{ retain: 1 }, { insert: 'd' }]);
    expect(text.in_flight_seq).toBe(1);
  });

  test('that is refused is taken out of the text, with what was typed after it left in', () => {
    const text = textOfServer('abc');
    send(text, new Delta().delete(1).insert('X'));
    text.edit(new Delta().retain(3).insert('!'));
    expect(text.content.ops).toEqual([{ insert: 'Xbc!' }]);
    const { change, lost } = text.refused();
    expect(lost.ops).toEqual([{ insert: 'X' }, { delete: 1 }]);
    expect(change.ops).toEqual([{ insert: 'a' }, { delete: 1 }]);
    expect(text.content.ops).toEqual([{ insert: 'abc!' }]);
    expect(text.take()).toEqual({ seq: 1, base_rev: 1, delta: new Delta().retain(3).insert('!') });
  });

  test('of which the server formed another opinion leaves everybody with the server’s', () => {
    const text = textOfServer('ab');
    send(text, new Delta().retain(2).insert('X', { bold: true }));
    text.edit(new Delta().retain(3).insert('c'));
    expect(text.landed(2, [{ retain: 2 }, { insert: 'X' }]).ops).toEqual([
      { retain: 2 },
      { retain: 1, attributes: { bold: null } },
    ]);
    expect(text.content.ops).toEqual([{ insert: 'abXc' }]);
  });
});

describe('edits that an owner took with it', () => {
  test('are sent again in order, with their old seqs, each as it stood', () => {
    const text = textOfServer('one\n');
    for (const [i, letters] of ['aa', 'bb'].entries()) {
      send(text, new Delta().retain(2 * i).insert(letters));
      text.landed(2 + 2 * i, [...(i === 0 ? [] : [{ retain: 2 * i }]), { insert: letters }]);
      // Somebody else types into the middle of it, and deletes its last letter.
      text.remote(3 + 2 * i, [{ retain: 2 * i + 1 }, { insert: '*' }, { delete: 1 }]);
    }
    send(text, new Delta().retain(8).insert('in flight'));
    text.edit(new Delta().insert('typed '));
    expect(text.content.ops).toEqual([{ insert: 'typed a*b*one\nin flight' }]);
    text.disconnected();
    text.replace(2, 1, 0, [{ insert: 'one\n' }]);
    expect(text.content.ops).toEqual([{ insert: 'typed abone\nin flight' }]);
    const sent: unknown[] = [];
    for (let next = text.take(), rev = 2; next !== null; next = text.take(), rev += 1) {
      sent.push([next.seq, next.base_rev, next.delta.ops]);
      text.landed(rev, next.delta.ops);
    }
    expect(sent).toEqual([
      [1, 1, [{ insert: 'a' }]],
      [2, 2, [{ retain: 1 }, { insert: 'b' }]],
      [3, 3, [{ retain: 6 }, { insert: 'in flight' }]],
      [4, 4, [{ insert: 'typed ' }]],
    ]);
  });

  test('are not sent again when the next owner has them', () => {
    const text = textOfServer('');
    send(text, new Delta().insert('a'));
    text.landed(2, [{ insert: 'a' }]);
    send(text, new Delta().insert('b'));
    text.disconnected();
    text.replace(2, 3, 2, [{ insert: 'ba' }]);
    expect(text.take()).toBeNull();
    expect(text.unacked).toBe(2);
    text.acked(2, 3);
    expect(text.unacked).toBe(0);
  });

  test('are whole even when the content came whole in between, however little of them a comparison finds', () => {
    const text = textOfServer('Once upon a time\n');
    send(text, new Delta().retain(17).insert('@', { colour: 'red' }));
    text.disconnected();
    const others = { insert: '@ somebody else wrote a lot' };
    text.replace(1, 9, 1, [
      { insert: 'Once upon a time\nxyz' },
      { insert: '@', attributes: { colour: 'red' } },
      others,
    ]);
    text.disconnected();
    text.replace(2, 1, 0, [{ insert: 'Once upon a time\n' }]);
    expect(text.content.ops).toEqual([
      { insert: 'Once upon a time\n' },
      { insert: '@', attributes: { colour: 'red' } },
    ]);
    expect(text.take()).toEqual({ seq: 1, base_rev: 1, delta: new Delta().retain(17).insert('@', { colour: 'red' }) });
  });

  test('need no later ack than the content that the next owner has them in', () => {
    const text = textOfServer('');
    send(text, new Delta().insert('a'));
    text.disconnected();
    text.replace(1, 9, 1, [{ insert: 'others a' }]);
    text.disconnected();
    // Most of what the first owner had was lost; this edit was not.
    text.replace(2, 2, 1, [{ insert: 'a' }]);
    text.acked(2, 2);
    expect(text.unacked).toBe(0);
  });

  test('are forgotten once they are acked, whatever the next owner says', () => {
    const text = textOfServer('');
    send(text, new Delta().insert('a'));
    text.landed(2, [{ insert: 'a' }]);
    text.acked(1, 2);
    text.disconnected();
    text.replace(2, 2, 1, [{ insert: 'a' }]);
    expect(text.unacked).toBe(0);
  });
});

describe('a connection that begins at our point', () => {
  test('is of no use when the document holds more or less of us than we know: the content is needed', () => {
    const text = textOfServer('');
    send(text, new Delta().insert('a'));
    text.landed(2, [{ insert: 'a' }]);
    text.disconnected();
    expect(text.resume(1, 0)).toBe('content_needed');
    expect(text.resume(1, 2)).toBe('content_needed');
    expect(text.resume(1, 1)).toBe('resumed');
    expect(new SharedText().resume(1, 0)).toBe('content_needed');
  });
});
