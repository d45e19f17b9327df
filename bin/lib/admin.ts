/**
 * bin/admin: runs src/admin.ts on the same database as the running bin/start, or on DATABASE_URL when that is set.
 */
import { readFileSync } from 'node:fs';
import { ENDPOINTS, type Endpoints, ROOT, secrets } from './paths.ts';
import { Problem, sayFailure } from './say.ts';

try {
  const child = Bun.spawn([process.execPath, 'src/admin.ts', ...process.argv.slice(2)], {
    cwd: ROOT,
    env: process.env.DATABASE_URL ? process.env : { ...process.env, ...embedded() },
    stdio: ['inherit', 'inherit', 'inherit'],
  });
  process.exitCode = await child.exited;
} catch (error) {
  sayFailure(error);
  process.exitCode = 1;
}

function embedded(): Record<string, string> {
  let found: Endpoints;
  try {
    found = JSON.parse(readFileSync(ENDPOINTS, 'utf8')) as Endpoints;
  } catch {
    throw new Problem(
      'Concord does not run from this checkout: start it with bin/start in another terminal, or set DATABASE_URL to the database that is meant.',
    );
  }
  return { REDIS_URL: found.redis_url, JWT_SECRET: secrets().jwt_secret, DATABASE_URL: found.database_url };
}
