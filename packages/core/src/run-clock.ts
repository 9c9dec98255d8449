/**
 * The time of one run, on Effect's Clock, so that a test can move it. All timeouts of the run share one sleeping fiber, which goes
 * to sleep only once the event loop has turned: most calls have ended by then, and a fiber for each would cost more than the call.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"

/** Starts an effect beside the run, with the run's services. */
export type Fork = <A>(effect: Effect.Effect<A>) => Fiber.Fiber<A>

export class RunClock {
  readonly fork: Fork
  readonly #clock: Clock.Clock
  readonly #alarms = new Set<Alarm>()
  #sleeper: Fiber.Fiber<void> | undefined
  #wakesAt = Number.POSITIVE_INFINITY
  #turning: NodeJS.Immediate | undefined

  constructor(clock: Clock.Clock, fork: Fork) {
    this.#clock = clock
    this.fork = fork
  }

  /** Milliseconds since the epoch. */
  now(): number {
    return this.#clock.currentTimeMillisUnsafe()
  }

  /** Rings once after so many milliseconds, unless the returned function is called first. */
  after(milliseconds: number, ring: () => void): () => void {
    if (!Number.isFinite(milliseconds)) return () => undefined
    const alarm = { at: this.now() + milliseconds, ring }
    this.#alarms.add(alarm)
    if (alarm.at < this.#wakesAt) this.#turning ??= setImmediate(() => this.#sleep())
    return () => this.#alarms.delete(alarm)
  }

  /** Nothing rings any more. */
  close(): void {
    this.#alarms.clear()
    this.#sleeper?.interruptUnsafe()
    if (this.#turning !== undefined) clearImmediate(this.#turning)
  }

  /** Until the first alarm, if there still is one. */
  #sleep(): void {
    this.#turning = undefined
    let first = Number.POSITIVE_INFINITY
    for (const { at } of this.#alarms) first = Math.min(first, at)
    if (first >= this.#wakesAt) return
    this.#sleeper?.interruptUnsafe()
    this.#wakesAt = first
    const wake = Effect.sync(() => this.#ringDue())
    this.#sleeper = this.fork(Effect.andThen(Effect.sleep(Math.max(0, first - this.now())), wake))
  }

  #ringDue(): void {
    this.#sleeper = undefined
    this.#wakesAt = Number.POSITIVE_INFINITY
    const now = this.now()
    for (const alarm of [...this.#alarms]) if (alarm.at <= now && this.#alarms.delete(alarm)) alarm.ring()
    this.#sleep()
  }
}

interface Alarm {
  readonly at: number
  readonly ring: () => void
}

/** The clock of the surrounding Effect. */
export const runClock: Effect.Effect<RunClock> = Effect.gen(function* () {
  const fork = Effect.runForkWith(yield* Effect.context<never>())
  return new RunClock(yield* Clock.Clock, fork)
})
