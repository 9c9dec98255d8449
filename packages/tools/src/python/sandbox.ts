/**
 * The Python sandbox as the host sees it: code goes in with the name of its session, an outcome comes out, whatever the code does.
 * Walls, processes and the sessions' interpreters are kept in the files beside. It knows nothing of models or of the text that a
 * model reads.
 */
import { type Artifact, artifactOf } from "./artifact.ts"
import type { JailKind } from "./jail.ts"
import { ProcessGone } from "./jailed-process.ts"
import { checkLimits, type SandboxLimits } from "./limits.ts"
import { type PackageOptions, readPackages } from "./packages.ts"
import { ProcessPool } from "./process-pool.ts"
import { cutBytes, type DeathCause, isSafePath, type Stream, type WireOutcome } from "./protocol.ts"
import { SandboxError } from "./sandbox-error.ts"
import { type LiveBox, SessionTable } from "./session-table.ts"

/** How the sandbox is built. What makes no sense throws SandboxError `bad-options`. */
export interface SandboxOptions {
  readonly limits?: Partial<SandboxLimits>
  /** Interpreters that wait for a session that is new; default 1. Each takes about 50 MB. */
  readonly spares?: number
  /** Interpreters at once, spares included; default 8. Beyond it the session that was idle longest loses its own. */
  readonly maxSandboxes?: number
  /** A session that ran nothing for this long loses its interpreter; default 15 minutes. */
  readonly sessionIdleMs?: number
  /** One process for all sessions ("tool", the default) or a process for each ("session"): about 200 MB more, and no wall shared. */
  readonly processPer?: "tool" | "session"
  /**
   * Linux namespaces around the process: as far as the system allows them ("auto", the default; `walls` says what came of it), or not
   * without them ("required"), or never ("off").
   */
  readonly namespaces?: "auto" | "required" | "off"
  /** Wheels that every interpreter gets. */
  readonly packages?: PackageOptions
  /** Where the memory snapshot is kept. Default: within this installation, else in the user's cache folder. */
  readonly cacheFolder?: string
}

/** Options of one call. */
export interface RunOptions {
  /** Default "default". What is defined in a session stays until it ends. */
  readonly session?: string
  /** Default: the limit `timeoutMs`; never more than it. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
  /** What the code prints, while it runs. */
  readonly onOutput?: (stream: Stream, text: string) => void
}

/** What came of one call: also of code that failed, hung or died. */
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

/** Interpreters by session, behind one wall or several. */
export interface PythonSandbox extends AsyncDisposable {
  /** Runs code. Rejects only with SandboxError (the sandbox itself cannot work) or with the reason of `signal`. */
  readonly run: (code: string, options?: RunOptions) => Promise<PythonOutcome>
  /** Puts a file into the session's working folder; `path` is relative to it. */
  readonly put: (session: string, path: string, contents: Uint8Array) => Promise<void>
  /** A file of the session's working folder; null when there is none, or it is larger than `artifactBytes`. */
  readonly take: (session: string, path: string) => Promise<Uint8Array | null>
  /** Wipes the session's variables and files. */
  readonly endSession: (session: string) => void
  /** Which walls stand around the interpreters; undefined before the first process has started. */
  readonly walls: JailKind | undefined
  /** Starts the process and the spares, so that the first call finds them ready. */
  readonly warmUp: () => Promise<void>
  readonly close: () => Promise<void>
}

const interruptEveryMs = 50

/** Far beyond any code that someone wrote, and well within what a frame to the process may hold. */
const mostCodeCharacters = 8 * 1024 * 1024

/** The child ends a call at timeout + grace + 250 ms; the process is killed when even that does not happen. */
const lateMs = 2_000
const fileDeadlineMs = 30_000

/** Makes a sandbox; its process starts with the first call or with `warmUp`. Throws SandboxError "bad-options". */
export function pythonSandbox(options: SandboxOptions = {}): PythonSandbox {
  const limits = checkLimits(options.limits ?? {})
  const maxSandboxes = checkCount("maxSandboxes", options.maxSandboxes ?? 8, 1, 256)
  const pool = new ProcessPool({
    limits,
    maxSandboxes,
    processPer: options.processPer ?? "tool",
    namespaces: options.namespaces ?? "auto",
    packages: options.packages ? readPackages(options.packages) : { wheels: [], imports: [] },
    cacheFolder: options.cacheFolder,
  })
  const sessions = new SessionTable(pool, {
    maxSandboxes,
    spares: checkCount("spares", options.spares ?? Math.min(1, maxSandboxes - 1), 0, maxSandboxes),
    sessionIdleMs: checkCount("sessionIdleMs", options.sessionIdleMs ?? 900_000, 1, 2_147_483_647),
  })
  return new Sandbox(limits, pool, sessions)
}

class Sandbox implements PythonSandbox {
  readonly #limits: SandboxLimits
  readonly #pool: ProcessPool
  readonly #sessions: SessionTable

  constructor(limits: SandboxLimits, pool: ProcessPool, sessions: SessionTable) {
    this.#limits = limits
    this.#pool = pool
    this.#sessions = sessions
  }

  readonly run = async (code: string, options: RunOptions = {}): Promise<PythonOutcome> => {
    const { session = "default", signal } = options
    if (code.length > mostCodeCharacters) throw codeTooLong(code.length)
    return settleOnAbort(signal, () =>
      this.#sessions.inTurn(session, async (box, restarted) => {
        signal?.throwIfAborted()
        return this.#call(box, restarted, code, options)
      }),
    )
  }

  readonly put = async (name: string, path: string, contents: Uint8Array): Promise<void> => {
    checkPath(path)
    await this.#sessions.inTurn(name, async ({ process, number }) => {
      const request = { type: "put", box: number, path } as const
      const { reply } = await process.request(request, { deadlineMs: fileDeadlineMs, attachment: contents })
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
    return this.#sessions.inTurn(name, async ({ process, number }) => {
      const request = { type: "take", box: number, path } as const
      const { reply, attachment } = await process.request(request, { deadlineMs: fileDeadlineMs })
      return reply.type === "taken" && reply.found ? attachment : null
    })
  }

  readonly endSession = (name: string): void => this.#sessions.end(name)
  readonly warmUp = (): Promise<void> => this.#sessions.warmUp()

  get walls(): JailKind | undefined {
    return this.#pool.jail
  }

  readonly close = async (): Promise<void> => {
    this.#sessions.close()
    await this.#pool.close()
  };

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #call(box: LiveBox, restarted: boolean, code: string, options: RunOptions): Promise<PythonOutcome> {
    const { signal, onOutput } = options
    const { graceMs } = this.#limits
    const timeoutMs = Math.max(1, Math.min(options.timeoutMs ?? this.#limits.timeoutMs, this.#limits.timeoutMs))
    const printed = { stdout: "", stderr: "" }
    const started = performance.now()
    const facts = () => ({ ...printed, restarted, ms: Math.round(performance.now() - started) })
    const stopAborting = interruptOnAbort(signal, box, graceMs)
    const lose = () => (signal?.aborted ? box.loseUntold() : box.lose())
    const hear = (stream: Stream, text: string) => {
      printed[stream] += text
      if (onOutput) queueMicrotask(() => onOutput(stream, text)) // what it throws is the caller's, not the process's
    }
    try {
      const { reply, attachment } = await box.process.request(
        { type: "run", box: box.number, code, timeoutMs },
        { deadlineMs: timeoutMs + graceMs + lateMs, onOutput: hear },
      )
      if (reply.type !== "ran") throw new ProcessGone("the sandbox process lost the interpreter")
      if (reply.outcome.status === "died") lose()
      return outcomeOf(reply.outcome, attachment, facts())
    } catch (error) {
      if (!(error instanceof ProcessGone)) throw error
      lose()
      return gone(error, facts())
    } finally {
      stopAborting()
    }
  }
}

/**
 * An aborted call is interrupted, again and again: an interrupt that comes before its code runs is swallowed. When that does
 * not help within the grace time, its interpreter is thrown away.
 */
function interruptOnAbort(signal: AbortSignal | undefined, box: LiveBox, graceMs: number): () => void {
  let again: NodeJS.Timeout | undefined
  let last: NodeJS.Timeout | undefined
  const interrupt = () => box.process.tell({ type: "interrupt", box: box.number })
  const abort = () => {
    interrupt()
    again = setInterval(interrupt, interruptEveryMs)
    last = setTimeout(() => {
      clearInterval(again)
      box.process.tell({ type: "dispose", box: box.number })
    }, graceMs)
  }
  signal?.addEventListener("abort", abort)
  return () => {
    signal?.removeEventListener("abort", abort)
    clearInterval(again)
    clearTimeout(last)
  }
}

/** Rejects with the signal's reason as soon as it is aborted, while the work comes to its end behind. */
async function settleOnAbort<Value>(signal: AbortSignal | undefined, work: () => Promise<Value>): Promise<Value> {
  signal?.throwIfAborted()
  if (!signal) return work()
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const abort = () => reject(signal.reason)
  signal.addEventListener("abort", abort)
  try {
    return await Promise.race([work(), aborted])
  } finally {
    signal.removeEventListener("abort", abort)
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

function gone({ message }: ProcessGone, facts: CallFacts): PythonOutcome {
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

function checkCount(name: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value
  throw new SandboxError({
    reason: "bad-options",
    detail: `The sandbox option ${name} is ${String(value)}.`,
    fix: `Give a whole number from ${least} to ${most}.`,
  })
}

function codeTooLong(characters: number): SandboxError {
  return new SandboxError({
    reason: "too-large",
    detail: `The code has ${characters} characters.`,
    fix: `${mostCodeCharacters} is the most; put data into a file of the session.`,
  })
}

function checkPath(path: string): void {
  if (isSafePath(path)) return
  throw new SandboxError({
    reason: "bad-path",
    detail: `${JSON.stringify(path.slice(0, 200))} is no path within the sandbox's working folder.`,
    fix: 'Give a relative path such as "data/input.csv": no "..", no backslash, colon or control character, at most 1024 characters.',
  })
}
