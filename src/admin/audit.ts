/** The audit log from the command line: what was done to a document, or by and to a user, newest first. */
import { isUuid } from '../base/ids.ts';
import { emailKey } from '../domain/accounts-email.ts';
import { type AuditRow, listAudit } from '../store/audit.ts';
import { findUserForSignIn } from '../store/users.ts';
import { type AdminParts, type Arguments, type Command, Misused, printable, Refused, table } from './command.ts';

const ROWS_DEFAULT = 50;
const ROWS_MAX = 10_000;

/** Commands on the audit log, by name. */
export const AUDIT_COMMANDS: Readonly<Record<string, Command>> = {
  audit: {
    synopsis: 'audit --document=<id> | --user=<id or email> [--limit=<rows>]',
    does: `Shows what was done, newest first: ${ROWS_DEFAULT} rows unless told otherwise.`,
    options: { document: { type: 'string' }, user: { type: 'string' }, limit: { type: 'string' } },
    positionals: [0, 0],
    run: audit,
  },
};

async function audit(parts: AdminParts, { options }: Arguments): Promise<string> {
  const { document, user, limit = String(ROWS_DEFAULT) } = options;
  if (document === undefined && user === undefined)
    throw new Misused('Say whose audit: --document=<id> or --user=<id or email>.');
  const count = Number(limit);
  if (!/^\d+$/.test(String(limit)) || count < 1 || count > ROWS_MAX)
    throw new Misused(`--limit is a whole number from 1 to ${ROWS_MAX}.`);
  const filter = {
    document_id: document === undefined ? null : uuidOf('--document', String(document)),
    user_id: user === undefined ? null : await userId(parts, String(user)),
    action: null,
  };
  const rows = await listAudit(parts.sql, filter, null, count);
  if (rows.length === 0) return 'Nothing is recorded. What happened within the last seconds may still be on its way.';
  return table(['at', 'action', 'actor', 'target', 'document', 'ip', 'request', 'details'], rows.map(cells));
}

function uuidOf(option: string, value: string): string {
  if (!isUuid(value.toLowerCase())) throw new Misused(`${option} is a UUID.`);
  return value.toLowerCase();
}

async function userId({ sql }: AdminParts, user: string): Promise<string> {
  if (!user.includes('@')) return uuidOf('--user', user);
  const found = await findUserForSignIn(sql, emailKey(user));
  if (found === null) throw new Refused(`Nobody is registered as ${user}. An erased account is found by its id.`);
  return found.id;
}

function cells(row: AuditRow): readonly string[] {
  const ids = [row.actor_id, row.target_id, row.document_id, row.ip, row.request_id].map((id) => printable(id ?? '-'));
  return [row.at.toISOString(), row.action, ...ids, printable(JSON.stringify(row.details))];
}
