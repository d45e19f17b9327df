/**
 * All that the client takes from the platform: a WebSocket, time and chance. A test hands in its own and drives them; the
 * default is what browsers, Bun and Node 22 or newer have built in.
 */

/** As much of the WebSocket interface as the client uses. */
export interface Socket {
  onopen: ((event: never) => void) | null;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null;
  onerror: ((event: never) => void) | null;
  send(text: string): void;
  close(code?: number, reason?: string): void;
}

/** Where sockets, time and chance come from. */
export interface Environment {
  /** Opens a socket; it may throw when the address is not one. */
  openSocket(url: string): Socket;
  /** Milliseconds since any fixed moment. */
  now(): number;
  /** Calls `callback` once after `delay_ms`; the answer cancels it. */
  after(delay_ms: number, callback: () => void): () => void;
  /** A float in [0, 1). */
  random(): number;
  /** A random UUID. */
  randomId(): string;
}

/** The platform itself. */
export const platform: Environment = {
  openSocket: (url) => new WebSocket(url) as unknown as Socket,
  now: () => Date.now(),
  after(delay_ms, callback) {
    const handle = setTimeout(callback, delay_ms);
    return () => clearTimeout(handle);
  },
  random: () => Math.random(),
  randomId() {
    // `crypto.randomUUID` is missing from pages that were not loaded over HTTPS; this is what it does (RFC 9562, version 4).
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    const hex = Array.from(bytes, (byte, i) =>
      (i === 6 ? (byte & 0x0f) | 0x40 : i === 8 ? (byte & 0x3f) | 0x80 : byte).toString(16).padStart(2, '0'),
    ).join('');
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  },
};
