/**
 * The bounds of content: of a delta's own form, of the documents that can be imported, and of the work that an import
 * may cause. Each is tested at N and at N + 1. The bytes that carry content are bounded where they arrive.
 */
export const CONTENT_LIMITS = {
  /** Operations of one edit. */
  delta_ops_max: 10_000,
  /** Operations of a delta that a document is created from: a document grows by many edits, so it may hold more. */
  document_ops_max: 1_000_000,
  attributes_per_op_max: 100,
  /** Objects and arrays inside each other in one attribute or embed; the outermost counts as 1. */
  delta_depth_max: 32,
} as const;
