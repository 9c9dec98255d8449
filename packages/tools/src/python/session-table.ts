/**
 * Which session owns which interpreter. Calls of a session run one after the other; a new session takes a spare; when there are too
 * many interpreters, the session that was idle longest loses its own, and its next call is told so.
 */
import type { Box, ProcessPool } from "./process-pool.ts"
import { SandboxError } from "./sandbox-error.ts"

/** A session's interpreter during one call. */
export interface LiveBox extends Box {
  /** Says that the interpreter is gone and that the caller knows: the next call starts afresh without being told. */
  readonly lose: () => void
  /** Says that it is gone and that nobody was told, since the call was aborted: the next call is told. */
  readonly loseUntold: () => void
}

interface Session {
  box: Box | undefined
  /** Done when the last call that was made is done. */
  last: Promise<unknown>
  calls: number
  /** The interpreter was lost and no caller knows it yet. */
  restarted: boolean
  idle: NodeJS.Timeout | undefined
}

interface TableOptions {
  readonly maxSandboxes: number
  readonly spares: number
  readonly sessionIdleMs: number
}

/** Sessions without an interpreter are remembered so far, to be told that theirs is gone. */
const mostRemembered = 10_000

export class SessionTable {
  readonly #pool: ProcessPool
  readonly #options: TableOptions
  /** In the order of last use. */
  readonly #sessions = new Map<string, Session>()
  #spares: Promise<Box>[] = []
  /** Interpreters that live or are being made, spares included. */
  #live = 0
  #waiting: (() => void)[] = []
  #closed = false

  constructor(pool: ProcessPool, options: TableOptions) {
    this.#pool = pool
    this.#options = options
  }

  /** Calls `work` with the session's interpreter once all earlier calls of the session are done. */
  inTurn<Value>(name: string, work: (box: LiveBox, restarted: boolean) => Promise<Value>): Promise<Value> {
    if (this.#closed) return Promise.reject(closed())
    const session = this.#touch(name)
    clearTimeout(session.idle)
    session.calls++
    const value = session.last.then(() => this.#withBox(session, work))
    const done = () => this.#callDone(session)
    session.last = value.then(done, done)
    return value
  }

  /** Wipes a session once its calls are done. */
  end(name: string): void {
    const session = this.#sessions.get(name)
    if (!session) return
    this.#sessions.delete(name)
    clearTimeout(session.idle)
    void session.last.then(() => this.#drop(session))
  }

  async warmUp(): Promise<void> {
    this.#refill()
    await Promise.all(this.#spares)
  }

  close(): void {
    this.#closed = true
    for (const session of this.#sessions.values()) clearTimeout(session.idle)
    this.#sessions.clear()
    for (const wake of this.#waiting.splice(0)) wake()
  }

  #touch(name: string): Session {
    const session = this.#sessions.get(name) ?? {
      box: undefined,
      last: Promise.resolve(),
      calls: 0,
      restarted: false,
      idle: undefined,
    }
    this.#sessions.delete(name)
    this.#sessions.set(name, session)
    if (this.#sessions.size > mostRemembered) this.#forgetOldest()
    return session
  }

  #forgetOldest(): void {
    for (const [name, session] of this.#sessions) {
      if (session.box || session.calls > 0) continue
      this.#sessions.delete(name)
      return
    }
  }

  async #withBox<Value>(session: Session, work: (box: LiveBox, restarted: boolean) => Promise<Value>): Promise<Value> {
    if (session.box?.process.gone) {
      this.#forget(session)
      session.restarted = true
    }
    if (this.#closed) throw closed()
    session.box ??= await this.#obtain()
    const { process, number } = session.box
    const restarted = session.restarted
    session.restarted = false
    const lose = () => this.#drop(session)
    const loseUntold = () => {
      this.#drop(session)
      session.restarted = true
    }
    return work({ process, number, lose, loseUntold }, restarted)
  }

  #callDone(session: Session): void {
    session.calls--
    this.#waiting.shift()?.()
    if (session.calls > 0 || !session.box || this.#closed) return
    session.idle = setTimeout(() => this.#evict(session), this.#options.sessionIdleMs)
    session.idle.unref()
  }

  /** A spare, or a new interpreter as soon as there is room for one. */
  async #obtain(): Promise<Box> {
    for (let spare = this.#spares.shift(); spare; spare = this.#spares.shift()) {
      const box = await spare.catch(() => undefined)
      if (!box || box.process.gone) {
        if (box) this.#live--
        continue
      }
      this.#refill()
      return box
    }
    while (this.#live >= this.#options.maxSandboxes && !this.#evictIdle()) await this.#room()
    const box = await this.#create()
    this.#refill()
    return box
  }

  /** Done when something has changed; throws when that was the end. */
  async #room(): Promise<void> {
    await new Promise<void>((resolve) => this.#waiting.push(resolve))
    if (this.#closed) throw closed()
  }

  async #create(): Promise<Box> {
    this.#live++
    try {
      return await this.#pool.createBox()
    } catch (error) {
      this.#live--
      throw error
    }
  }

  #refill(): void {
    const { spares, maxSandboxes } = this.#options
    while (!this.#closed && this.#spares.length < spares && this.#live < maxSandboxes) {
      const spare = this.#create()
      spare.catch(() => {}) // whoever takes it sees the failure, and makes another
      this.#spares.push(spare)
    }
  }

  #evictIdle(): boolean {
    for (const session of this.#sessions.values()) {
      if (!session.box || session.calls > 0) continue
      this.#evict(session)
      return true
    }
    return false
  }

  #evict(session: Session): void {
    clearTimeout(session.idle)
    session.restarted = true
    this.#drop(session)
  }

  #drop(session: Session): void {
    if (!session.box) return
    this.#pool.disposeBox(session.box)
    this.#forget(session)
  }

  #forget(session: Session): void {
    if (!session.box) return
    session.box = undefined
    this.#live--
    this.#waiting.shift()?.()
  }
}

function closed(): SandboxError {
  return new SandboxError({ reason: "closed", detail: "The sandbox is closed.", fix: "Make a new one." })
}
