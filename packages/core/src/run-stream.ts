/**
 * The events of a run as an AsyncIterable, and its result as a Promise. Events arrive in batches and are handed out one by
 * one; leaving the loop early cancels the run.
 */
import type { AgentEvent } from "./event.ts"
import type { RunResult } from "./run.ts"

/** The events of one run. Can be iterated by one reader; `result` settles whether anybody iterates or not. */
export class RunStream<Result = RunResult> implements AsyncIterable<AgentEvent> {
  /** Settles when the run has ended. Rejects with the EngineError that ended it. */
  readonly result: Promise<Result>
  readonly #cancel: () => void
  readonly #events: AgentEvent[] = []
  #next = 0
  #done = false
  readonly #wakes: (() => void)[] = []

  /** `start` begins the run at once: it gets where to put events, and gives the result. */
  constructor(start: (emit: (events: readonly AgentEvent[]) => void) => Promise<Result>, cancel: () => void) {
    this.#cancel = cancel
    this.result = start((events) => {
      for (const event of events) this.#events.push(event)
      this.#wake()
    }).finally(() => {
      this.#done = true
      this.#wake()
    })
    // Whoever only iterates meets the error there; it must not also count as unhandled.
    this.result.catch(() => undefined)
  }

  /** Stops the run within one decode step; it ends with the stop reason `aborted`. */
  cancel(): void {
    this.#cancel()
  }

  /** Written out: an async generator costs several turns of the microtask queue for each event. */
  [Symbol.asyncIterator](): AsyncIterableIterator<AgentEvent> {
    const iterator: AsyncIterableIterator<AgentEvent> = {
      next: () => (this.#next < this.#events.length ? Promise.resolve(this.#take()) : this.#wait()),
      return: () => {
        this.#cancel()
        return Promise.resolve({ done: true, value: undefined })
      },
      [Symbol.asyncIterator]: () => iterator,
    }
    return iterator
  }

  async #wait(): Promise<IteratorResult<AgentEvent>> {
    while (this.#next >= this.#events.length) {
      if (this.#done) {
        await this.result
        return { done: true, value: undefined }
      }
      await new Promise<void>((resolve) => {
        this.#wakes.push(resolve)
      })
    }
    return this.#take()
  }

  #take(): IteratorResult<AgentEvent> {
    const value = this.#events[this.#next++] as AgentEvent
    if (this.#next === this.#events.length) {
      this.#events.length = 0
      this.#next = 0
    }
    return { done: false, value }
  }

  #wake(): void {
    for (const wake of this.#wakes.splice(0)) wake()
  }
}
