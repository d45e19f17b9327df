/**
 * One tab at a time. Browsers have the Web Locks API for it, but only on HTTPS and on localhost; a phone that visits a
 * server of the local network by its address has none. There a note in localStorage stands in: it names its holder and
 * runs out by itself, so a tab that dies holds nobody up for long.
 */

const NOTE_LIFE_MS = 10_000;
const LOOK_AGAIN_MS = 60;

/** Runs `work` while no other tab of this origin runs work of this name. */
export async function exclusively<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
  // The DOM's types know no insecure pages.
  const locks = navigator.locks as LockManager | undefined;
  if (locks !== undefined) return locks.request(name, work);
  const holder = String(Math.random());
  for (;;) {
    if (free(name, holder)) localStorage.setItem(name, `${holder} ${Date.now() + NOTE_LIFE_MS}`);
    // Two tabs may have found it free at once; the later note stands, and after a breath both see whose it is.
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    if (localStorage.getItem(name)?.startsWith(`${holder} `)) break;
  }
  try {
    return await work();
  } finally {
    if (localStorage.getItem(name)?.startsWith(`${holder} `)) localStorage.removeItem(name);
  }
}

function free(name: string, holder: string): boolean {
  const [held_by, until] = (localStorage.getItem(name) ?? '').split(' ');
  return held_by === undefined || held_by === '' || held_by === holder || Number(until) < Date.now();
}
