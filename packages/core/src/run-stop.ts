/**
 * Whether a run has to stop now, and why: its caller's abort, its deadline, or a guard. The first reason holds. What waits
 * inside the run is told at once.
 */
import * as Effect from "effect/Effect"
import type { RunStopReason } from "./event.ts"
import type { RunClock } from "./run-clock.ts"

export class RunStop {
  readonly #controller = new AbortController()
  readonly #listeners = new Set<() => void>()
  readonly #release: () => void
  #reason: RunStopReason | undefined
  #released = false

  constructor(caller: AbortSignal, clock: RunClock, deadlineMs: number) {
    const abort = () => this.stop("aborted")
    if (caller.aborted) abort()
    else caller.addEventListener("abort", abort, { once: true })
    const disarm = clock.after(deadlineMs, () => this.stop("deadline"))
    this.#release = () => {
      caller.removeEventListener("abort", abort)
      disarm()
    }
  }

  /** For models and guards. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  get reason(): RunStopReason | undefined {
    return this.#reason
  }

  /** Whether the run still goes on, so that it can be stopped. */
  get isOpen(): boolean {
    return this.#reason === undefined && !this.#released
  }

  stop(why: RunStopReason): void {
    if (!this.isOpen) return
    this.#reason = why
    this.#controller.abort()
    for (const listener of [...this.#listeners]) listener()
  }

  /** Calls back once when the run stops, unless the returned function is called first. Cheaper than an event listener. */
  onStop(listener: () => void): () => void {
    if (this.#reason === undefined) this.#listeners.add(listener)
    else listener()
    return () => this.#listeners.delete(listener)
  }

  /** Ends when the run stops. */
  readonly stopped: Effect.Effect<void> = Effect.callback<void>((resume) => {
    const off = this.onStop(() => resume(Effect.void))
    return Effect.sync(off)
  })

  /** The effect's value, or nothing as soon as the run stops. */
  unlessStopped<A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A | undefined, E> {
    return Effect.raceFirst(
      effect,
      Effect.map(this.stopped, () => undefined),
    )
  }

  /** The run is over. */
  release(): void {
    this.#released = true
    this.#release()
    this.#listeners.clear()
  }
}
