/** Questions in a window of their own: one text, or yes and no. The browser's own dialog element keeps the keyboard in it. */
import { h } from './dom.ts';

/** What {@link askText} asks. */
export interface TextQuestion {
  readonly title: string;
  readonly label: string;
  readonly value: string;
  /** What the button that accepts says. */
  readonly action: string;
  readonly type?: 'text' | 'url';
  readonly length_max?: number;
}

/** Asks for a text; null when the answer is not to be given. */
export function askText(question: TextQuestion): Promise<string | null> {
  const { title, label, value, action, type = 'text', length_max } = question;
  const input = h('input', { name: 'answer', type, value, required: true, maxlength: length_max, autocomplete: 'off' });
  const body = h('label', { class: 'field' }, h('span', {}, label), input);
  const asked = ask(title, body, action, () => input.value.trim());
  input.select();
  return asked;
}

/** Asks whether to do something. */
export async function askWhether(title: string, explanation: string, action: string): Promise<boolean> {
  return (await ask(title, h('p', {}, explanation), action, () => 'yes')) !== null;
}

function ask(title: string, body: HTMLElement, action: string, read: () => string): Promise<string | null> {
  return new Promise((resolve) => {
    let answer: string | null = null;
    const form = h(
      'form',
      {
        method: 'dialog',
        onsubmit: () => {
          answer = read() || null;
        },
      },
      h('h2', { id: 'question' }, title),
      body,
      h(
        'div',
        { class: 'actions' },
        h('button', { type: 'button', class: 'plain', onclick: () => dialog.close() }, 'Cancel'),
        h('button', { type: 'submit', class: 'primary' }, action),
      ),
    );
    const onclose = (): void => {
      dialog.remove();
      resolve(answer);
    };
    const dialog = h('dialog', { class: 'question', 'aria-labelledby': 'question', onclose }, form);
    document.body.append(dialog);
    dialog.showModal();
  });
}
