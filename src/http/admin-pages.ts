/**
 * The pages around the dashboard, in plain HTML: forms and no script at all, so that they work in any browser and under a
 * policy that allows none.
 */
import { ADMIN_PATH, BOARD_PATH } from './admin-guard.ts';

/** Where the style sheet of these pages is. */
export const STYLE_PATH = `${ADMIN_PATH}/style.css`;

/** These pages load their style sheet and send their forms here, and nothing else. */
const PAGE_POLICY = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/** Asks for e-mail and password; `problem` says what was wrong with the last try. */
export function signInPage(
  status: number,
  asked: { readonly email?: string; readonly problem?: string } = {},
): Response {
  const { email = '', problem } = asked;
  const said = problem === undefined ? '' : `<p class="problem" role="alert">${Bun.escapeHTML(problem)}</p>`;
  const body = `<h1>Concord administration</h1>
<p>The queue dashboard is for admins.</p>
${said}
<form method="post" action="${ADMIN_PATH}/sign-in">
<label for="email">E-mail</label>
<input id="email" name="email" type="email" autocomplete="username" required value="${Bun.escapeHTML(email)}">
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button type="submit">Sign in</button>
</form>`;
  return htmlResponse(status, 'Sign in', body);
}

/** Says who is signed in and lets them go to the dashboard, if they may, and sign out. */
export function accountPage(status: number, account: { readonly name: string; readonly is_admin: boolean }): Response {
  const may = account.is_admin
    ? `<p><a href="${BOARD_PATH}">Queue dashboard</a></p>`
    : '<p class="problem" role="alert">This account is not an admin, and the dashboard is for admins.</p>';
  const body = `<h1>Concord administration</h1>
<p>Signed in as <strong>${Bun.escapeHTML(account.name)}</strong>.</p>
${may}
<form method="post" action="${ADMIN_PATH}/sign-out">
<button type="submit">Sign out</button>
</form>`;
  return htmlResponse(status, 'Account', body);
}

function htmlResponse(status: number, title: string, body: string): Response {
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title} · Concord</title>
<link rel="stylesheet" href="${STYLE_PATH}">
</head>
<body>
<main>
${body}
</main>
</body>
</html>
`;
  const headers = { 'content-type': 'text/html; charset=utf-8', 'content-security-policy': PAGE_POLICY };
  return new Response(html, { status, headers });
}
