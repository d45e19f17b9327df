/**
 * The bounds of content: of a delta's own form, of the documents that can be imported, and of the work that an import
 * may cause. The bytes that carry content are bounded where they arrive.
 */
export const CONTENT_LIMITS = {
  /** Operations of one edit. */
  delta_ops_max: 10_000,
  /** Operations of a document at its creation, whatever the format: a document grows by many edits, so it may hold more. */
  document_ops_max: 500_000,
  attributes_per_op_max: 100,
  /** Objects and arrays inside each other in one attribute or embed; the outermost counts as 1. */
  delta_depth_max: 32,

  /** Indent steps of a line that outputs show and imports make: what Quill itself has. */
  indent_levels_max: 8,

  /** Open HTML elements that an import tells apart; what is nested deeper is text of the innermost one. */
  html_depth_max: 256,

  /** Markdown containers inside each other (a list counts 2); what is nested deeper is text. */
  markdown_depth_max: 64,
  /** Markdown brackets inside each other; what is nested deeper is text. */
  markdown_brackets_max: 8,
  /** Markdown is parsed in windows of whole blocks of about this size, so that memory does not grow with the text. */
  markdown_window_chars: 64 * 1024,
  /** Tokens of one block before it is cut where it may be longer than a window (a list of a hundred thousand items). */
  markdown_block_tokens_max: 200_000,
  /** Text of one block whose inline marks are parsed together; longer text is cut at a space. */
  markdown_inline_chars_max: 128 * 1024,
} as const;
