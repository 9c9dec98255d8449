/**
 * The Python sandbox as the host sees it: code goes in with the name of its session, an outcome comes out, whatever the code does.
 * Gives each session an interpreter of its own, keeps spares warm, throws away what died or is not used any more. It knows nothing
 * of models or of the text that a model reads.
 */
import { type Artifact, artifactOf } from "./artifact.ts"
import type { DeathCause } from "./isolate.ts"
import { ProcessGone } from "./jailed-process.ts"
import { checkLimits, type SandboxLimits } from "./limits.ts"
import { type Box, ProcessPool } from "./process-pool.ts"
import { cutBytes, isSafePath, type Stream, type WireOutcome } from "./protocol.ts"
import { SandboxError } from "./sandbox-error.ts"

export interface SandboxOptions {
  readonly limits?: Partial<SandboxLimits>
  /** Interpreters that wait for a session that is new; default 1. Each takes about 50 MB. */
  readonly spares?: number
  /** Interpreters at once, spares included; default 8. Beyond it the session that was idle longest loses its own. */
  readonly maxSandboxes?: number
  /** One process for all sessions ("tool", the default) or a process for each ("session"): about 200 MB more, and no wall shared. */
  readonly processPer?: "tool" | "session"
  /** Where the memory snapshot is kept. Default: within this installation, else in the user's cache folder. */
  readonly cacheFolder?: string
}

export interface RunOptions {
  /** Default "default". What is defined in a session stays until it ends. */
  readonly session?: string
  /** Default: the limit `timeoutMs`; never more than it. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
  /** What the code prints, while it runs. */
  readonly onOutput?: (stream: Stream, text: string) => void
}

export interface PythonOutcome {
  /** `died`: the interpreter is gone, with all variables and files of its session. */
  readonly status: "completed" | "error" | "timeout" | "died"
  readonly stdout: string
  readonly stderr: string
  /** Streams whose end was dropped because of `outputBytes`. */
  readonly truncated: readonly Stream[]
  /** The repr of the last expression; null when there is none or it is None. */
  readonly result: string | null
  /** Present unless completed: `ValueError: …`, or why the interpreter died. */
  readonly error?: { readonly message: string; readonly traceback: string; readonly cause?: DeathCause }
  /** Files in the working folder that this call wrote or changed. */
  readonly artifacts: readonly Artifact[]
  /** Changed files that did not fit the limits. */
  readonly omittedArtifacts: number
  /** The session had lost its variables and files before this call (it was idle for long, or its process ended). */
  readonly restarted: boolean
  /** Wall time of the call in milliseconds. */
  readonly ms: number
}

export interface PythonSandbox extends AsyncDisposable {
  /** Runs code. Rejects only with SandboxError (the sandbox itself cannot work) or with the reason of `signal`. */
  readonly run: (code: string, options?: RunOptions) => Promise<PythonOutcome>
  /** Puts a file into the session's working folder; `path` is relative to it. */
  readonly put: (session: string, path: string, contents: Uint8Array) => Promise<void>
  /** A file of the session's working folder; null when there is none. */
  readonly take: (session: string, path: string) => Promise<Uint8Array | null>
  /** Wipes the session's variables and files. */
  readonly endSession: (session: string) => void
  /** Starts the process and the spares, so that the first call finds them ready. */
  readonly warmUp: () => Promise<void>
  readonly close: () => Promise<void>
}

interface Session {
  box: Box | undefined
  /** Calls of a session run one after the other. */
  last: Promise<unknown>
  running: number
  /** Had a box before and lost it without the caller knowing. */
  lost: boolean
  usedAt: number
}

/** The child ends a call at timeout + grace + 250 ms; the process is killed when even that does not happen. */
const lateMs = 2_000

export function pythonSandbox(options: SandboxOptions = {}): PythonSandbox {
  const limits = checkLimits(options.limits ?? {})
  return new Sandbox(limits, options)
}

class Sandbox implements PythonSandbox {
  readonly #limits: SandboxLimits
  readonly #pool: ProcessPool
  readonly #sessions = new Map<string, Session>()
  readonly #spareCount: number
  readonly #most: number
  #spares: Promise<Box>[] = []
  #clock = 0
  #closed = false

  constructor(limits: SandboxLimits, options: SandboxOptions) {
    this.#limits = limits
    this.#spareCount = options.spares ?? 1
    this.#most = options.maxSandboxes ?? 8
    this.#pool = new ProcessPool({
      limits,
      processPer: options.processPer ?? "tool",
      cacheFolder: options.cacheFolder,
    })
  }

  readonly run = async (code: string, options: RunOptions = {}): Promise<PythonOutcome> => {
    options.signal?.throwIfAborted()
    const session = this.#session(options.session ?? "default")
    return this.#inTurn(session, () => this.#call(session, code, options))
  }

  readonly put = async (name: string, path: string, contents: Uint8Array): Promise<void> => {
    checkPath(path)
    const session = this.#session(name)
    await this.#inTurn(session, async () => {
      const { process, number } = await this.#box(session)
      const { reply } = await process.request(
        { type: "put", box: number, path },
        { deadlineMs: 10_000, attachment: contents },
      )
      if (reply.type === "put" && reply.stored) return
      throw new SandboxError({
        reason: "too-large",
        detail: `The file ${path} (${contents.byteLength} bytes) cannot be put into the sandbox.`,
        fix: `Files there may hold ${this.#limits.storageBytes} bytes together, and a file cannot replace a folder.`,
      })
    })
  }

  readonly take = async (name: string, path: string): Promise<Uint8Array | null> => {
    checkPath(path)
    const session = this.#session(name)
    return this.#inTurn(session, async () => {
      if (!session.box) return null
      const { process, number } = session.box
      const { reply, attachment } = await process.request({ type: "take", box: number, path }, { deadlineMs: 10_000 })
      return reply.type === "taken" && reply.found ? attachment : null
    })
  }

  readonly endSession = (name: string): void => {
    const session = this.#sessions.get(name)
    this.#sessions.delete(name)
    if (session) void session.last.then(() => this.#drop(session))
  }

  readonly warmUp = async (): Promise<void> => {
    this.#refill()
    await Promise.all(this.#spares)
  }

  readonly close = async (): Promise<void> => {
    this.#closed = true
    this.#sessions.clear()
    await this.#pool.close()
  };

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #session(name: string): Session {
    if (this.#closed)
      throw new SandboxError({ reason: "closed", detail: "The sandbox is closed.", fix: "Make a new one." })
    let session = this.#sessions.get(name)
    if (!session) {
      session = { box: undefined, last: Promise.resolve(), running: 0, lost: false, usedAt: 0 }
      this.#sessions.set(name, session)
    }
    session.usedAt = ++this.#clock
    return session
  }

  #inTurn<Value>(session: Session, work: () => Promise<Value>): Promise<Value> {
    session.running++
    const value = session.last.then(work)
    session.last = value.then(
      () => session.running--,
      () => session.running--,
    )
    return value
  }

  async #call(session: Session, code: string, { signal, onOutput, timeoutMs }: RunOptions): Promise<PythonOutcome> {
    const box = await this.#box(session)
    signal?.throwIfAborted()
    const restarted = session.lost
    session.lost = false
    const ms = Math.min(timeoutMs ?? this.#limits.timeoutMs, this.#limits.timeoutMs)
    const printed = { stdout: "", stderr: "" }
    const started = performance.now()
    const elapsed = () => Math.round(performance.now() - started)
    const abort = () => box.process.tell({ type: "interrupt", box: box.number })
    signal?.addEventListener("abort", abort)
    try {
      const { reply, attachment } = await box.process.request(
        { type: "run", box: box.number, code, timeoutMs: ms },
        {
          deadlineMs: ms + this.#limits.graceMs + lateMs,
          onOutput: (stream, text) => {
            printed[stream] += text
            onOutput?.(stream, text)
          },
        },
      )
      if (reply.type !== "ran") throw new ProcessGone("The sandbox process lost the interpreter")
      if (reply.outcome.status === "died") session.box = undefined
      return outcomeOf(reply.outcome, attachment, { ...printed, restarted, ms: elapsed() })
    } catch (error) {
      if (!(error instanceof ProcessGone)) throw error
      session.box = undefined
      return gone(error, { ...printed, restarted, ms: elapsed() })
    } finally {
      signal?.removeEventListener("abort", abort)
      signal?.throwIfAborted()
    }
  }

  /** The session's interpreter, a spare, or a new one. */
  async #box(session: Session): Promise<Box> {
    if (session.box && !session.box.process.gone) return session.box
    if (session.box) session.lost = true
    session.box = undefined
    session.box = await this.#spareOrNew()
    return session.box
  }

  async #spareOrNew(): Promise<Box> {
    for (let spare = this.#spares.shift(); spare; spare = this.#spares.shift()) {
      const box = await spare.catch(() => undefined)
      if (!box || box.process.gone) continue
      this.#refill()
      return box
    }
    const box = await this.#pool.createBox()
    this.#refill()
    return box
  }

  #refill(): void {
    while (!this.#closed && this.#spares.length < this.#spareCount) {
      const spare = this.#pool.createBox()
      spare.catch(() => {})
      this.#spares.push(spare)
    }
  }

  #drop(session: Session): void {
    if (session.box) this.#pool.disposeBox(session.box)
    session.box = undefined
  }
}

interface CallFacts {
  readonly stdout: string
  readonly stderr: string
  readonly restarted: boolean
  readonly ms: number
}

function outcomeOf(wire: WireOutcome, attachment: Uint8Array<ArrayBuffer>, facts: CallFacts): PythonOutcome {
  const contents = cutBytes(attachment, wire.files)
  const artifacts = wire.files.map(({ path }, i) => artifactOf(path, contents[i]!))
  const { status, error, traceback, cause } = wire
  return {
    status,
    ...facts,
    truncated: [...(wire.stdoutCut ? (["stdout"] as const) : []), ...(wire.stderrCut ? (["stderr"] as const) : [])],
    result: wire.result,
    ...(error !== null && { error: { message: error, traceback: traceback ?? error, ...(cause && { cause }) } }),
    artifacts,
    omittedArtifacts: wire.omitted,
  }
}

function gone(error: ProcessGone, facts: CallFacts): PythonOutcome {
  const message = error.message
  return {
    status: "died",
    ...facts,
    truncated: [],
    result: null,
    error: { message, traceback: message, cause: "internal" },
    artifacts: [],
    omittedArtifacts: 0,
  }
}

function checkPath(path: string): void {
  if (isSafePath(path)) return
  throw new SandboxError({
    reason: "bad-path",
    detail: `${JSON.stringify(path.slice(0, 200))} is no path within the sandbox's working folder.`,
    fix: 'Give a relative path such as "data/input.csv": no "..", no backslash, no colon, at most 1024 characters.',
  })
}
