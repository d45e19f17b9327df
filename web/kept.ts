/**
 * What this browser keeps for the page, and one tab at a time.
 *
 * localStorage would be simpler, and wrong: browsers that run tabs in processes of their own show another tab's write
 * only a moment later, and that moment is enough to use a token a second time. Transactions of IndexedDB are one after
 * the other for all tabs.
 */

const NAME = 'concord';
const STORE = 'kept';
const NOTE_LIFE_MS = 15_000;
const LOOK_AGAIN_MS = 50;

let opened: Promise<IDBDatabase> | null = null;

function database(): Promise<IDBDatabase> {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opened;
}

/** Puts what `next` makes of the value of this name in its place, in one step; null removes it. Resolves with the new value. */
export async function change<Value>(
  name: string,
  next: (present: Value | null) => Value | null,
): Promise<Value | null> {
  const transaction = (await database()).transaction(STORE, 'readwrite');
  const store = transaction.objectStore(STORE);
  return new Promise((resolve, reject) => {
    let value: Value | null = null;
    const read: IDBRequest<Value | undefined> = store.get(name);
    read.onsuccess = () => {
      value = next(read.result ?? null);
      if (value === null) store.delete(name);
      else store.put(value, name);
    };
    transaction.oncomplete = () => resolve(value);
    transaction.onabort = () => reject(transaction.error);
  });
}

/** The value of this name. */
export function recall<Value>(name: string): Promise<Value | null> {
  return change<Value>(name, (present) => present);
}

/**
 * Runs `work` while no other tab runs work of this name. The Web Locks API is for that, but exists on HTTPS and localhost
 * only; a phone that visits a server of the local network by its address has none. There a note stands in, which names
 * its holder and runs out by itself, so that a tab that dies holds nobody up for long.
 */
export async function exclusively<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
  // The DOM's types do not know of pages that lack it.
  const locks = navigator.locks as LockManager | undefined;
  if (locks !== undefined) return locks.request(name, work);
  const holder = Math.random();
  const take = (note: Note | null): Note | null =>
    note === null || note.until < Date.now() ? { holder, until: Date.now() + NOTE_LIFE_MS } : note;
  while ((await change(name, take))?.holder !== holder)
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  try {
    return await work();
  } finally {
    await change<Note>(name, (note) => (note?.holder === holder ? null : note));
  }
}

interface Note {
  readonly holder: number;
  readonly until: number;
}
