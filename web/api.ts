/** The REST routes that the page uses, called as whoever is signed in. */
import type { Role } from '../src/protocol/messages.ts';
import { ApiError, send } from './http.ts';
import type { Session } from './session.ts';

/** A document as REST shows it. */
export interface DocumentInfo {
  readonly id: string;
  readonly title: string;
  /** Of whoever asked. */
  readonly role: Role;
  readonly updated_at: string;
  readonly deleted: boolean;
}

/** Somebody's role on a document. */
export interface Permission {
  readonly user_id: string;
  readonly display_name: string;
  readonly email: string;
  readonly role: Role;
}

/** A part of a list. */
export interface Page<Item> {
  readonly items: readonly Item[];
  readonly next_cursor: string | null;
}

/** See the head of this file. Every call rejects with an {@link ApiError}, or `SignedOut`. */
export class Api {
  constructor(private readonly session: Session) {}

  /** Documents, newest first; with `deleted` those that one has deleted instead. */
  documents(deleted: boolean, cursor: string | null): Promise<Page<DocumentInfo>> {
    const query = new URLSearchParams({
      limit: '50',
      deleted: String(deleted),
      ...(cursor === null ? {} : { cursor }),
    });
    return this.#call('GET', `/v1/documents?${query}`);
  }

  createDocument(title: string): Promise<DocumentInfo> {
    return this.#call('POST', '/v1/documents', { title });
  }

  document(id: string): Promise<DocumentInfo> {
    return this.#call('GET', `/v1/documents/${encodeURIComponent(id)}`);
  }

  rename(id: string, title: string): Promise<DocumentInfo> {
    return this.#call('PATCH', `/v1/documents/${id}`, { title });
  }

  remove(id: string): Promise<DocumentInfo> {
    return this.#call('DELETE', `/v1/documents/${id}`);
  }

  undelete(id: string): Promise<DocumentInfo> {
    return this.#call('POST', `/v1/documents/${id}/undelete`);
  }

  /** Everybody with a role on the document. */
  async permissions(id: string): Promise<readonly Permission[]> {
    const found: Permission[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const query: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`;
      const page: Page<Permission> = await this.#call('GET', `/v1/documents/${id}/permissions?limit=100${query}`);
      found.push(...page.items);
      cursor = page.next_cursor;
    }
    return found;
  }

  share(id: string, email: string, role: Role): Promise<Permission> {
    return this.#call('POST', `/v1/documents/${id}/permissions`, { email, role });
  }

  changeRole(id: string, user_id: string, role: Role): Promise<Permission> {
    return this.#call('PUT', `/v1/documents/${id}/permissions/${user_id}`, { role });
  }

  async revoke(id: string, user_id: string): Promise<void> {
    await this.#call('DELETE', `/v1/documents/${id}/permissions/${user_id}`);
  }

  async #call<Data>(method: string, path: string, body?: unknown): Promise<Data> {
    const token = await this.session.token();
    try {
      return await send<Data>(method, path, body, token);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 401) throw error;
      return send<Data>(method, path, body, await this.session.replace(token));
    }
  }
}
