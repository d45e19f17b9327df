/** What has to be stopped and removed when the command is told to end before its work is done. */

const stops = new Set<() => Promise<void>>();

/** Has `stop` called at SIGINT and SIGTERM. Returns what takes that back. */
export function stopAtEnd(stop: () => Promise<void>): () => void {
  if (stops.size === 0) for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, end);
  stops.add(stop);
  return () => {
    stops.delete(stop);
    if (stops.size === 0) for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, end);
  };
}

function end(): void {
  void Promise.allSettled([...stops].map((stop) => stop())).then(() => process.exit(1));
}
