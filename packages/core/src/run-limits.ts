/** What ends a run although its turn goes on. A limit is no error: all that was done before it is kept. */

export interface RunLimits {
  /** Most steps; default 16. */
  readonly maxSteps: number
  /** Most tokens that all steps together may generate; default: what the context holds. */
  readonly maxTokens: number
  /** Most tool calls; default 64. */
  readonly maxToolCalls: number
  /** Most failed calls of one kind (malformed, unknown tool, invalid input) with no success between them; default 3. */
  readonly maxRepairs: number
  /** How often in a row the same calls may give the same results; default 3. */
  readonly maxRepeats: number
  /** Milliseconds for the whole run; default none. */
  readonly deadlineMs: number
  /** What `cost` may come to; default no limit. */
  readonly maxCost: number
}

export const defaultLimits: RunLimits = {
  maxSteps: 16,
  maxTokens: Number.POSITIVE_INFINITY,
  maxToolCalls: 64,
  maxRepairs: 3,
  maxRepeats: 3,
  deadlineMs: Number.POSITIVE_INFINITY,
  maxCost: Number.POSITIVE_INFINITY,
}
