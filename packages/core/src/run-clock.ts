/**
 * The time of one run, on Effect's Clock, so that a test can move it. All timeouts of the run share one sleeping fiber:
 * most calls end long before their time is up, and a fiber for each would cost more than the call.
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
    if (alarm.at < this.#wakesAt) this.#sleepUntil(alarm.at)
    return () => this.#alarms.delete(alarm)
  }

  /** Nothing rings any more. */
  close(): void {
    this.#alarms.clear()
    this.#sleeper?.interruptUnsafe()
  }

  #sleepUntil(at: number): void {
    this.#sleeper?.interruptUnsafe()
    this.#wakesAt = at
    const wake = Effect.sync(() => this.#ringDue())
    this.#sleeper = this.fork(Effect.andThen(Effect.sleep(at - this.now()), wake))
  }

  #ringDue(): void {
    this.#sleeper = undefined
    this.#wakesAt = Number.POSITIVE_INFINITY
    const now = this.now()
    let next = Number.POSITIVE_INFINITY
    for (const alarm of [...this.#alarms]) {
      if (alarm.at > now) next = Math.min(next, alarm.at)
      else if (this.#alarms.delete(alarm)) alarm.ring()
    }
    if (next < this.#wakesAt) this.#sleepUntil(next)
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
