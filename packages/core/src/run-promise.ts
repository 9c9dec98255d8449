/**
 * A run as a Promise. The plain entry loads this module, and Effect with it, when the first agent is made: a program that only
 * defines tools or reads traces does not pay for the loop.
 */
import * as Effect from "effect/Effect"
import { type ResumePoint, type RunOutcome, run } from "./run.ts"
import type { RunContext } from "./run-context.ts"

/** Rejects with a RunError, as it is. */
export function runPromise(context: RunContext, resume: ResumePoint | undefined): Promise<RunOutcome> {
  return Effect.runPromise(run(context, resume))
}
