/** The seam between the tool `wolfram_alpha` and whoever answers it. */

/** One part of an answer: how the question was read, or its result. */
export interface Pod {
  readonly title: string
  readonly lines: readonly string[]
  readonly primary?: boolean
}

/** Whoever answers questions of mathematics. */
export interface MathsProvider {
  /** Shown to people, such as `wolfram` or `local-maths`. */
  readonly name: string
  /** The pods up to the result, or null where nothing can be said. Throws ToolFailed with a text for the model. */
  answer(query: string, signal: AbortSignal): Promise<readonly Pod[] | null>
  close?(): Promise<void>
}
