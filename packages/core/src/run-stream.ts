/**
 * The events of a run as an AsyncIterable, and its result as a Promise. Events arrive in batches and are handed out one by
 * one; leaving the loop early cancels the run.
 */
import type { AgentEvent } from "./event.ts"
import type { RunResult } from "./run.ts"

export class RunStream<Result = RunResult> implements AsyncIterable<AgentEvent> {
  /** Settles when the run has ended. Rejects with the EngineError that ended it. */
  readonly result: Promise<Result>
  readonly #cancel: () => void
  readonly #events: AgentEvent[] = []
  #next = 0
  #done = false
  #wake: (() => void) | undefined

  /** `start` begins the run at once: it gets where to put events, and gives the result. */
  constructor(start: (emit: (events: readonly AgentEvent[]) => void) => Promise<Result>, cancel: () => void) {
    this.#cancel = cancel
    this.result = start((events) => {
      for (const event of events) this.#events.push(event)
      this.#wake?.()
    }).finally(() => {
      this.#done = true
      this.#wake?.()
    })
    // Whoever only iterates meets the error there; it must not also count as unhandled.
    this.result.catch(() => undefined)
  }

  /** Stops the run within one decode step; it ends with the stop reason `aborted`. */
  cancel(): void {
    this.#cancel()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<AgentEvent> {
    let finished = false
    try {
      while (true) {
        while (this.#next < this.#events.length) yield this.#take()
        if (this.#done) break
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
      finished = true
      await this.result
    } finally {
      if (!finished) this.#cancel()
    }
  }

  #take(): AgentEvent {
    const event = this.#events[this.#next++] as AgentEvent
    if (this.#next === this.#events.length) {
      this.#events.length = 0
      this.#next = 0
    }
    return event
  }
}
