/** Who is here: a disc with initials for each person, of however many windows; those who do not fit are counted. */
import type { Awareness } from 'y-protocols/awareness';
import { h } from './dom.ts';

const SHOWN_MAX = 5;
/** What y-quill gives to cursors whose owner names no colour. */
const NO_COLOR = '#ffa500';

interface Person {
  readonly id: string;
  readonly name: string;
  readonly color: string;
}

/** See the head of this file. */
export class People {
  /** Put it where it shall be seen. */
  readonly root = h('ul', { class: 'people', 'aria-label': 'Who is here' });
  #shown = '';

  constructor(private readonly own_id: string) {}

  /** Shows those whom awareness tells of; oneself last. */
  show(awareness: Awareness): void {
    const people = peopleOf(awareness, this.own_id);
    const now = JSON.stringify(people);
    if (now === this.#shown) return;
    this.#shown = now;
    const beyond = people.slice(SHOWN_MAX);
    const names = beyond.map(({ name }) => name).join(', ');
    this.root.replaceChildren(
      ...people.slice(0, SHOWN_MAX).map((person) => disc(person, person.id === this.own_id)),
      ...(beyond.length === 0
        ? []
        : [
            h('li', { class: 'more', title: names }, `+${beyond.length}`, h('span', { class: 'unseen' }, `: ${names}`)),
          ]),
    );
  }
}

function peopleOf(awareness: Awareness, own_id: string): Person[] {
  const people = new Map<string, Person>();
  for (const [client, state] of awareness.getStates()) {
    const user: { id?: unknown; name?: unknown; color?: unknown } = state.user ?? {};
    const own = client === awareness.clientID;
    const id = own ? own_id : typeof user.id === 'string' ? user.id : String(client);
    const name = typeof user.name === 'string' && user.name.trim() !== '' ? user.name : 'Somebody';
    const color = typeof user.color === 'string' && /^#[0-9a-f]{6}$/i.test(user.color) ? user.color : NO_COLOR;
    if (own || !people.has(id)) people.set(id, { id, name, color });
  }
  const rank = (person: Person): number => (person.id === own_id ? 1 : 0);
  return [...people.values()].sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
}

function disc({ name, color }: Person, own: boolean): HTMLElement {
  const whole = own ? `${name} (you)` : name;
  const item = h(
    'li',
    { class: own ? 'own' : null, title: whole },
    h('span', { 'aria-hidden': 'true' }, initialsOf(name)),
    h('span', { class: 'unseen' }, whole),
  );
  item.style.backgroundColor = color;
  return item;
}

function initialsOf(name: string): string {
  const words = name.trim().split(/\s+/);
  const ends = words.length > 1 ? [words[0], words.at(-1)] : [words[0]];
  return ends.map((word) => [...(word ?? '')][0]?.toUpperCase() ?? '').join('');
}
