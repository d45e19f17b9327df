/**
 * How a document is lost: its owner's edits stop reaching the disk, and then somebody else takes it, as after a pause or
 * a cut between a node and its database. The journal refuses whatever the old owner had not written, and everybody has
 * to come back to the next one.
 */
import type { Database } from '../../src/store/postgres.ts';

/** A document whose journal is held up. */
export interface Usurper {
  /** Takes the document from its owner, and lets the journal go. */
  take(): Promise<void>;
}

/** Keeps the document's edits from being written, from when this resolves. */
export async function holdUp(sql: Database, doc_id: string): Promise<Usurper> {
  const { promise: held, resolve: tellHeld } = Promise.withResolvers<void>();
  const { promise: ordered, resolve: order } = Promise.withResolvers<void>();
  const over = sql.begin(async (transaction) => {
    await transaction`SELECT 1 FROM document_heads WHERE doc_id = ${doc_id} FOR UPDATE`;
    tellHeld();
    await ordered;
    await transaction`
      UPDATE document_heads SET epoch = epoch + 1, owner_node = NULL, owner_boot = NULL, claim_id = NULL
      WHERE doc_id = ${doc_id}`;
  });
  await Promise.race([held, over]);
  return {
    async take() {
      order();
      await over;
    },
  };
}
