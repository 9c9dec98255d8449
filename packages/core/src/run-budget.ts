/**
 * What a run may still spend. A sub-agent's run spends from the outer run's budget too, as it goes, so that all of them together
 * keep to the outer limits, and what was spent is known whatever ended them.
 */
import { addUsage, noUsage, type RunStopReason, type Usage } from "./event.ts"
import type { RunLimits } from "./run-limits.ts"

/** What a run may still spend, for whoever spends from it. */
export interface Budget {
  /** Tokens that may still be generated. */
  readonly tokensLeft: number
  /** Counts tokens that were spent on a model. */
  spend(usage: Usage): void
  /** Counts a call of a tool; false where no more may be made. */
  takeCall(): boolean
  /** The limit that is used up. */
  exhausted(): RunStopReason | undefined
}

export class RunBudget implements Budget {
  readonly #limits: Pick<RunLimits, "maxTokens" | "maxToolCalls" | "maxCost">
  readonly #cost: ((usage: Usage) => number) | undefined
  readonly #outer: Budget | undefined
  #usage: Usage = noUsage
  #toolCalls = 0

  constructor(
    limits: Pick<RunLimits, "maxTokens" | "maxToolCalls" | "maxCost">,
    cost: ((usage: Usage) => number) | undefined,
    outer: Budget | undefined,
  ) {
    this.#limits = limits
    this.#cost = cost
    this.#outer = outer
  }

  /** Everything that was spent so far, by this run and what its tools ran. */
  get usage(): Usage {
    return this.#usage
  }

  get tokensLeft(): number {
    const left = Math.max(0, this.#limits.maxTokens - this.#usage.generated)
    return this.#outer === undefined ? left : Math.min(left, this.#outer.tokensLeft)
  }

  spend(usage: Usage): void {
    this.#usage = addUsage(this.#usage, usage)
    this.#outer?.spend(usage)
  }

  takeCall(): boolean {
    if (this.#toolCalls >= this.#limits.maxToolCalls) return false
    if (this.#outer?.takeCall() === false) return false
    this.#toolCalls++
    return true
  }

  exhausted(): RunStopReason | undefined {
    if (this.#usage.generated >= this.#limits.maxTokens) return "max-tokens"
    if (this.#cost !== undefined && this.#cost(this.#usage) >= this.#limits.maxCost) return "max-cost"
    return this.#outer?.exhausted()
  }
}
