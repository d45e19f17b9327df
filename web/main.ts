/** The page: who is signed in and where the address points decide which view is shown. */
import { Api } from './api.ts';
import { documentView } from './document-view.ts';
import { documentsView } from './documents-view.ts';
import { LiveDocuments } from './live-documents.ts';
import { Session } from './session.ts';
import { signInView } from './sign-in-view.ts';
import type { App, View } from './view.ts';

const session = await Session.load();
const app: App = {
  session,
  api: new Api(session),
  live: new LiveDocuments(session),
  go(path) {
    history.pushState(null, '', path);
    show();
  },
};

let shown: View | null = null;

function show(): void {
  shown?.close();
  shown = makeView();
  document.body.replaceChildren(shown.root);
}

function makeView(): View {
  const { user } = session;
  if (user === null) return signInView(app);
  const id = /^\/d\/([^/]+)\/?$/.exec(location.pathname)?.[1];
  return id === undefined ? documentsView({ ...app, user }) : documentView({ ...app, user }, id);
}

session.onChange(show);
window.addEventListener('popstate', show);
show();
