-- Links that give a role on a document to whoever holds their token.

CREATE TABLE document_links (
  id          uuid PRIMARY KEY,
  document_id uuid NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
  role        text NOT NULL CHECK (role IN ('editor', 'viewer')),
  token_hash  bytea NOT NULL UNIQUE,       -- SHA-256: the token itself is never stored
  created_at  timestamptz(3) NOT NULL,
  expires_at  timestamptz(3)               -- NULL: never
);
CREATE INDEX document_links_of_document ON document_links (document_id, id DESC);

-- Another login may be migrating than the one that gave the application its rights on what there was.
SELECT admit_application();
