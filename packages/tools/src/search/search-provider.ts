/** The seam between the tool `brave_search` and whoever answers it. */

/** One hit, in the shape that Llama 3.1 was trained on; fields beyond these would be new to the model. */
export interface SearchResult {
  readonly title: string
  readonly url: string
  readonly description: string
  readonly type?: string
}

/** Whoever answers searches. */
export interface SearchProvider {
  /** Shown to people, such as `brave` or `local-documents`. */
  readonly name: string
  /** The best results first; none found is an empty list. Throws ToolFailed with a text for the model. */
  search(query: string, signal: AbortSignal): Promise<readonly SearchResult[]>
  close?(): Promise<void>
}
