/** What is audited: every action that leaves a row, by its name. */

/** All actions. A run of edits is one `document.edited`. */
export const AUDIT_ACTIONS = [
  'user.registered',
  'user.login',
  'user.login_failed',
  'user.logout',
  'user.password_changed',
  'user.role_changed',
  'user.deleted',
  'session.revoked',
  'document.created',
  'document.renamed',
  'document.edited',
  'document.deleted',
  'document.undeleted',
  'document.restored',
  'permission.granted',
  'permission.changed',
  'permission.revoked',
  'version.named',
  'link.created',
  'link.redeemed',
  'link.revoked',
] as const;

/** One of {@link AUDIT_ACTIONS}. */
export type AuditAction = (typeof AUDIT_ACTIONS)[number];
