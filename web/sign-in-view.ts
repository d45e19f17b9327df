/** Signing in, and making an account: one form, which says what it is about to do. */
import { h } from './dom.ts';
import { messageOf } from './http.ts';
import { type App, brand, type View } from './view.ts';

/** Shown at every address while nobody is signed in. */
export function signInView(app: App): View {
  const root = h('main', { class: 'sign-in' });
  const show = (making: boolean): void => {
    document.title = making ? 'Make an account · Concord' : 'Sign in · Concord';
    const form = credentialsForm(app, making);
    const other = h('button', { type: 'button', class: 'plain', onclick: () => show(!making) });
    other.textContent = making ? 'I have an account' : 'Make an account';
    root.replaceChildren(
      h(
        'div',
        { class: 'card' },
        brand(),
        h('h1', {}, making ? 'Make an account' : 'Sign in'),
        form,
        h('p', {}, other),
      ),
      h('p', { class: 'quiet' }, 'Documents that people and programs edit together.'),
    );
    form.querySelector('input')?.focus();
  };
  show(false);
  return { root, close: () => {} };
}

function credentialsForm({ session }: App, making: boolean): HTMLFormElement {
  const name = making ? field('Name', { name: 'name', autocomplete: 'name', maxlength: 100 }) : null;
  const email = field('E-mail', { name: 'email', type: 'email', autocomplete: 'username', maxlength: 254 });
  const password = field('Password', {
    name: 'password',
    type: 'password',
    autocomplete: making ? 'new-password' : 'current-password',
    ...(making ? { minlength: 10, 'aria-describedby': 'password-hint' } : {}),
  });
  const hint = making ? h('p', { class: 'quiet', id: 'password-hint' }, 'At least 10 characters.') : null;
  const problem = h('p', { class: 'problem', role: 'alert' });
  const submit = h('button', { class: 'primary' }, making ? 'Make account' : 'Sign in');
  const value = (label: HTMLElement | null): string => label?.querySelector('input')?.value ?? '';
  const onsubmit = async (event: Event): Promise<void> => {
    event.preventDefault();
    problem.textContent = '';
    submit.disabled = true;
    const credentials = { email: value(email).trim(), password: value(password) };
    try {
      if (making) await session.register({ ...credentials, display_name: value(name).trim() });
      else await session.signIn(credentials);
    } catch (error) {
      problem.textContent = messageOf(error);
    }
    submit.disabled = false;
  };
  return h('form', { onsubmit }, name, email, password, hint, problem, submit);
}

function field(label: string, props: Readonly<Record<string, unknown>>): HTMLElement {
  return h('label', { class: 'field' }, h('span', {}, label), h('input', { required: true, ...props }));
}
