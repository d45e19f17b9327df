/** The rate limits of a process, which all of its doors share. */
import { RateLimits } from '../domain/rate-limits.ts';
import { PatientRedis } from '../store/rate-counts.ts';
import type { NodeParts } from './node.ts';

/** Makes them; null when they are off. */
export function createRateLimits(node: NodeParts): RateLimits | null {
  const { config, redis, clock, log, metrics } = node;
  if (config.rate_limits === null) return null;
  const counts = new PatientRedis(redis.commands, clock, log);
  // Another purpose than signing tokens: the one must not be guessed from the other.
  const secret = new Bun.CryptoHasher('sha256', config.jwt_secret).update('rate limits').digest('hex');
  return new RateLimits({ settings: config.rate_limits, counts, secret, clock, log, metrics });
}
