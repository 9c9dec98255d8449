/**
 * Runs guards beside a run: on what the user said while the model already writes, and on what the model wrote before any of its
 * calls is run. The first guard that forbids decides; one that fails forbids too.
 */
import type { Guard, Verdict } from "./guard.ts"
import type { Turn } from "./turn.ts"

/** Who judges what. */
export interface Guards {
  /** Judge each new user turn, beside the first generation. Its calls wait for the verdict. */
  readonly input?: readonly Guard[]
  /** Judge each turn of the model before its calls are run. Its text has been streamed by then. */
  readonly output?: readonly Guard[]
}

export async function checkGuards(
  guards: readonly Guard[] | undefined,
  turns: readonly Turn[],
  signal: AbortSignal,
): Promise<Verdict> {
  const verdicts = await Promise.all((guards ?? []).map((guard) => checkOne(guard, turns, signal)))
  return verdicts.find(({ allowed }) => !allowed) ?? { allowed: true }
}

async function checkOne(guard: Guard, turns: readonly Turn[], signal: AbortSignal): Promise<Verdict> {
  try {
    return await guard.check(turns, signal)
  } catch (error) {
    // A run that was stopped for another reason needs no verdict.
    if (signal.aborted) return { allowed: true }
    return {
      allowed: false,
      categories: [],
      reason: `The guard failed: ${error instanceof Error ? error.message : error}`,
    }
  }
}
