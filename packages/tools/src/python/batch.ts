/**
 * The sandbox as a batch runner: JSON lines in, one JSON line out for each, in order, whatever the code does. What is no request gets a
 * line as well, which says what is wrong with it. It knows nothing of files or terminals: lines are its whole world.
 */
import { defaultLimits } from "./limits.ts"
import type { PythonOutcome, PythonSandbox, SandboxOptions } from "./sandbox.ts"
import { pythonSandbox } from "./sandbox.ts"
import { SandboxError } from "./sandbox-error.ts"

/** One line in. `session` names a session whose state stays between lines; without it the line gets a fresh interpreter. */
export interface BatchRequest {
  readonly code: string
  /** Default: the option `limits.timeoutMs`. */
  readonly timeoutMs?: number
  /** The most memory for this line's interpreter, in MiB: whole numbers from 32. */
  readonly memoryMb?: number
  readonly session?: string
}

/** One line out. */
export interface BatchAnswer {
  readonly status: PythonOutcome["status"]
  readonly stdout: string
  readonly stderr: string
  /** The repr of the last expression, or null. */
  readonly result: string | null
  readonly error?: string
  /** Files that the code wrote, with their bytes in base64. */
  readonly artifacts: readonly { readonly path: string; readonly type: string; readonly base64: string }[]
  /** Wall time in milliseconds. */
  readonly ms: number
}

/** The sandbox for all lines. */
export interface BatchOptions extends Omit<SandboxOptions, "maxSandboxes" | "spares"> {
  readonly signal?: AbortSignal
}

const mostTimeoutMs = 86_400_000

/**
 * Answers each line of `lines` with a line (without line feed). Sandboxes with another memory limit are made as lines ask for them, at
 * most four at once. What the sandbox refuses is an answer, too; throws SandboxError only when none can be started at all.
 */
export async function* pythonBatch(lines: AsyncIterable<string>, options: BatchOptions = {}): AsyncIterable<string> {
  const { signal, ...sandboxOptions } = options
  await using sandboxes = new SandboxesByMemory(sandboxOptions)
  let line = 0
  for await (const text of lines) {
    if (text.trim() === "") continue
    const request = parseRequest(text)
    if (typeof request === "string") yield JSON.stringify(refusal(request))
    else {
      const timed = { timeoutMs: options.limits?.timeoutMs ?? defaultLimits.timeoutMs, ...request }
      const answering = answer(sandboxes.get(request.memoryMb), timed, `line-${line++}`, signal)
      yield JSON.stringify(await answering.catch(refusalOf))
    }
  }
}

function refusalOf(error: unknown): BatchAnswer {
  if (error instanceof SandboxError && error.reason === "too-large") return refusal(error.message)
  throw error
}

async function answer(
  sandbox: PythonSandbox,
  { code, timeoutMs, session }: BatchRequest,
  ownSession: string,
  signal: AbortSignal | undefined,
): Promise<BatchAnswer> {
  const name = session === undefined ? ownSession : `session-${session}`
  const outcome = await sandbox.run(code, {
    session: name,
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(signal && { signal }),
  })
  if (session === undefined) sandbox.endSession(name)
  const { status, stdout, stderr, result, error, artifacts, ms } = outcome
  return {
    status,
    stdout,
    stderr,
    result,
    ...(error && { error: error.traceback }),
    artifacts: artifacts.map(({ path, type, bytes }) => ({
      path,
      type,
      base64: Buffer.from(bytes).toString("base64"),
    })),
    ms,
  }
}

function refusal(why: string): BatchAnswer {
  return { status: "error", stdout: "", stderr: "", result: null, error: `bad request: ${why}`, artifacts: [], ms: 0 }
}

/** The request, or what is wrong with the line. */
function parseRequest(text: string): BatchRequest | string {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return "the line is no JSON"
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) return "the line is no JSON object"
  const { code, timeoutMs, memoryMb, session } = json as Record<string, unknown>
  if (typeof code !== "string") return 'the field "code" must be a string'
  if (timeoutMs !== undefined && !isWhole(timeoutMs, 1, mostTimeoutMs))
    return '"timeoutMs" must be a whole number of at least 1'
  if (memoryMb !== undefined && !isWhole(memoryMb, 32, 4096)) return '"memoryMb" must be a whole number from 32 to 4096'
  if (session !== undefined && typeof session !== "string") return '"session" must be a string'
  return {
    code,
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(memoryMb !== undefined && { memoryMb }),
    ...(session !== undefined && { session }),
  }
}

function isWhole(value: unknown, least: number, most: number): value is number {
  return Number.isInteger(value) && (value as number) >= least && (value as number) <= most
}

/** A memory limit belongs to a process, so each limit that is asked for has a sandbox of its own; the one unused longest goes first. */
class SandboxesByMemory implements AsyncDisposable {
  readonly #options: BatchOptions
  readonly #sandboxes = new Map<number | undefined, PythonSandbox>()

  constructor(options: BatchOptions) {
    this.#options = options
  }

  get(memoryMb: number | undefined): PythonSandbox {
    const limits = { ...this.#options.limits, timeoutMs: mostTimeoutMs, ...(memoryMb !== undefined && { memoryMb }) }
    const sandbox = this.#sandboxes.get(memoryMb) ?? pythonSandbox({ ...this.#options, limits })
    this.#sandboxes.delete(memoryMb)
    this.#sandboxes.set(memoryMb, sandbox)
    if (this.#sandboxes.size > 4) {
      const [oldest] = this.#sandboxes.keys()
      void this.#sandboxes.get(oldest)?.close()
      this.#sandboxes.delete(oldest)
    }
    return sandbox
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#sandboxes.values()].map((sandbox) => sandbox.close()))
  }
}
