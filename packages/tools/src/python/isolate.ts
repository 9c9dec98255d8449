/**
 * One Python interpreter in one V8 isolate: created from Pyodide's files (and a memory snapshot of them), given code, thrown away.
 * What comes out of it is untrusted: it leaves here checked, as plain data. It knows nothing of processes, sessions or the model.
 *
 * Covered: the isolate has no function of the host (no process, no file system, no network, no timer); wasm memory, heap, files,
 *   output and results are bounded; a call ends by interrupt, by termination, or by disposal of the isolate.
 * Not covered: a bug in V8 or in isolated-vm (the jailed process is the wall behind); side channels such as timing.
 */
import { randomBytes } from "node:crypto"
import type IsolatedVm from "isolated-vm"
import { ivm } from "./isolated-vm.ts"
import type { SandboxLimits } from "./limits.ts"
import type { Packages } from "./packages.ts"
import { type DeathCause, isSafePath } from "./protocol.ts"
import type { PyodideFiles } from "./pyodide-files.ts"
import { type IsolateScript, preload, runnerProgram, scriptsAfter, scriptsBefore } from "./snapshot-sources.ts"

export interface PythonFailure {
  /** `ValueError: …` */
  readonly message: string
  readonly traceback: string
}

export type CallOutcome =
  | {
      readonly status: "completed" | "error" | "timeout"
      readonly result: string | null
      readonly error: PythonFailure | null
      readonly files: readonly CallFile[]
      /** How many changed files did not fit the limits. */
      readonly omitted: number
    }
  | { readonly status: "died"; readonly cause: DeathCause; readonly detail: string }

export interface CallFile {
  readonly path: string
  readonly contents: ArrayBuffer
}

export interface IsolateSetup {
  readonly pyodide: PyodideFiles
  readonly limits: SandboxLimits
  /** A memory image made by `makeSnapshot` of the same setup; absent: a cold boot, about ten times slower. */
  readonly snapshot?: SharedArrayBuffer
  readonly packages?: Packages
}

/** Where code runs and files live. */
const homeFolder = "/home/user"

/** V8's compiled form of the scripts, shared by all isolates of this process. */
const codeCaches = new Map<string, IsolatedVm.ExternalCopy<ArrayBuffer>>()

/** Boots once from nothing and gives the interpreter's memory image: about 31 MB, about 2 s of CPU. No user code has run in it. */
export async function makeSnapshot(setup: IsolateSetup): Promise<ArrayBuffer> {
  const isolate = new ivm.Isolate({ memoryLimit: Math.max(256, setup.limits.heapMb) })
  try {
    const { snapshot: _, packages: __, ...rest } = setup
    const { booted } = await boot(isolate, rest, "snapshot")
    return (await booted.copy()) as ArrayBuffer
  } finally {
    isolate.dispose()
  }
}

export class PythonIsolate {
  /** What the code writes while it runs: Int32 length, Int32 "was cut", then UTF-8 bytes. */
  readonly stdout: SharedArrayBuffer
  readonly stderr: SharedArrayBuffer
  readonly #isolate: IsolatedVm.Isolate
  readonly #limits: SandboxLimits
  readonly #interrupt: Int32Array
  readonly #methods: Methods
  #dead = false
  #running = false

  private constructor(isolate: IsolatedVm.Isolate, limits: SandboxLimits, parts: Booted, methods: Methods) {
    this.#isolate = isolate
    this.#limits = limits
    this.#interrupt = new Int32Array(parts.interrupt)
    this.stdout = parts.stdout
    this.stderr = parts.stderr
    this.#methods = methods
  }

  static async create(setup: IsolateSetup): Promise<PythonIsolate> {
    const isolate = new ivm.Isolate({
      memoryLimit: setup.limits.heapMb,
      // V8 is out of memory where it cannot recover: nothing in this process can be trusted to go on.
      // Not exit(), which ends in good order: the isolate's thread, stopped in the middle of V8, would be a part of that.
      onCatastrophicError: () => process.abort(),
    })
    try {
      const parts = await boot(isolate, setup, "interpreter")
      const method = (name: string) => parts.booted.get(name, { reference: true })
      const [execute, put, take, list] = await Promise.all([
        method("execute"),
        method("put"),
        method("take"),
        method("list"),
      ])
      return new PythonIsolate(isolate, setup.limits, parts, { execute, put, take, list } as Methods)
    } catch (error) {
      if (!isolate.isDisposed) isolate.dispose()
      throw error
    }
  }

  get dead(): boolean {
    return this.#dead
  }

  /** Raises KeyboardInterrupt in the code that runs. A courtesy: code can catch it. Does nothing between calls. */
  interrupt(): void {
    if (this.#running) Atomics.store(this.#interrupt, 0, 2)
  }

  /** Runs one cell. Never throws; after `died` the isolate is disposed. Output is in `stdout` and `stderr`, also while it runs. */
  async execute(code: string, timeoutMs: number): Promise<CallOutcome> {
    const { graceMs } = this.#limits
    let interrupted = false
    this.#running = true
    const soft = setTimeout(() => {
      interrupted = true
      this.interrupt()
    }, timeoutMs)
    // isolated-vm's own clock stands still in some states; this one does not.
    const watchdog = setTimeout(() => this.dispose(), timeoutMs + graceMs + 250)
    try {
      const answer: unknown = await this.#methods.execute.apply(undefined, [code], {
        timeout: timeoutMs + graceMs,
        result: { copy: true },
      })
      const decoded = decodeAnswer(answer, this.#limits)
      if (decoded) return classify(decoded, interrupted)
      return this.#die("internal", "the interpreter answered in no known form")
    } catch (error) {
      return this.#die(...causeOf(error, this.#isolate.isDisposed))
    } finally {
      clearTimeout(soft)
      clearTimeout(watchdog)
      this.#running = false
      Atomics.store(this.#interrupt, 0, 0)
    }
  }

  /** Writes a file below the working folder; false when there is no room or the path is a folder. */
  async put(path: string, contents: ArrayBuffer): Promise<boolean> {
    const copy = new ivm.ExternalCopy(contents, { transferOut: true }).copyInto({ release: true })
    return this.#methods.put.apply(undefined, [path, copy], { timeout: 5000 }).then(
      () => true,
      () => false,
    )
  }

  /** Reads a file below the working folder; null when there is none or it is larger than `artifactBytes`. */
  async take(path: string): Promise<ArrayBuffer | null> {
    try {
      const bytes: unknown = await this.#methods.take.apply(undefined, [path], {
        timeout: 5000,
        result: { copy: true },
      })
      return bytes instanceof ArrayBuffer && bytes.byteLength <= this.#limits.artifactBytes ? bytes : null
    } catch {
      return null
    }
  }

  dispose(): void {
    this.#dead = true
    if (!this.#isolate.isDisposed) this.#isolate.dispose()
  }

  #die(cause: DeathCause, detail: string): CallOutcome {
    this.dispose()
    return { status: "died", cause, detail }
  }
}

interface Methods {
  readonly execute: IsolatedVm.Reference
  readonly put: IsolatedVm.Reference
  readonly take: IsolatedVm.Reference
}

interface Booted {
  readonly booted: IsolatedVm.Reference
  readonly stdout: SharedArrayBuffer
  readonly stderr: SharedArrayBuffer
  readonly interrupt: SharedArrayBuffer
}

async function boot(
  isolate: IsolatedVm.Isolate,
  setup: IsolateSetup,
  want: "interpreter" | "snapshot",
): Promise<Booted> {
  const { limits, pyodide, packages } = setup
  const context = await isolate.createContext()
  const give = (value: unknown) => new ivm.ExternalCopy(value).copyInto({ release: true })
  await context.eval("globalThis.__chasqui = {}")
  const kit = await context.global.get("__chasqui", { reference: true })
  const method = (name: string) => kit.get(name, { reference: true }) as Promise<IsolatedVm.Reference>
  for (const script of scriptsBefore()) await run(isolate, context, script)
  const seed = new Uint8Array(randomBytes(48)).buffer
  await (await method("prepare")).apply(undefined, [
    give(pyodide.wasm),
    give(pyodide.stdlib),
    give(seed),
    limits.storageBytes,
    limits.storageEntries,
  ])
  for (const script of [...pyodide.scripts, ...scriptsAfter()]) await run(isolate, context, script)
  const stdout = new SharedArrayBuffer(8 + limits.outputBytes)
  const stderr = new SharedArrayBuffer(8 + limits.outputBytes)
  const interrupt = new SharedArrayBuffer(4)
  const settings = {
    lock: pyodide.lock,
    runner: runnerProgram(),
    preload,
    imports: packages?.imports ?? [],
    home: homeFolder,
    resultCharacters: limits.resultCharacters,
    artifactBytes: limits.artifactBytes,
    artifactCount: limits.artifactCount,
  }
  const booted = (await (
    await method("boot")
  ).apply(
    undefined,
    [
      give(settings),
      want,
      setup.snapshot ? give(setup.snapshot) : undefined,
      give((packages?.wheels ?? []).map(({ name, contents }) => [name, contents])),
      give(stdout),
      give(stderr),
      give(interrupt),
    ],
    { timeout: 60_000, result: { promise: true, reference: true } },
  )) as IsolatedVm.Reference
  return { booted, stdout, stderr, interrupt }
}

/** Compiled once for all isolates of this process. */
async function run(
  isolate: IsolatedVm.Isolate,
  context: IsolatedVm.Context,
  { name, source }: IsolateScript,
): Promise<void> {
  const cachedData = codeCaches.get(name)
  const script = await isolate.compileScript(source, {
    filename: `sandbox:${name}`,
    ...(cachedData ? { cachedData } : { produceCachedData: true }),
  })
  const { cachedData: made } = script as IsolatedVm.Script & IsolatedVm.CachedDataResult
  if (made) codeCaches.set(name, made)
  await script.run(context)
}

interface Answer {
  readonly result: string | null
  readonly error: string | null
  readonly kind: string | null
  readonly traceback: string | null
  readonly files: readonly CallFile[]
  readonly omitted: number
}

function classify({ result, error, kind, traceback, files, omitted }: Answer, interrupted: boolean): CallOutcome {
  if (error === null) return { status: "completed", result, error: null, files, omitted }
  const status = interrupted && kind === "KeyboardInterrupt" ? "timeout" : "error"
  return { status, result, error: { message: error, traceback: traceback ?? error }, files, omitted }
}

/** The interpreter's answer, or undefined when anything about it is not as it must be. */
function decodeAnswer(answer: unknown, limits: SandboxLimits): Answer | undefined {
  if (!Array.isArray(answer) || answer.length > limits.artifactCount + 1 || typeof answer[0] !== "string")
    return undefined
  const [text, ...contents] = answer as [string, ...unknown[]]
  if (text.length > 6 * (4 * limits.resultCharacters + 1100 * limits.artifactCount) + 4096) return undefined
  let fields: Record<string, unknown>
  try {
    fields = JSON.parse(text) as Record<string, unknown>
  } catch {
    return undefined
  }
  const { files, omitted } = fields
  if (!Array.isArray(files) || files.length !== contents.length || typeof omitted !== "number") return undefined
  const string = (name: string) =>
    typeof fields[name] === "string" ? fields[name].slice(0, limits.resultCharacters + 1) : null
  const decoded: CallFile[] = []
  let unusable = 0
  let bytes = 0
  for (const [i, file] of (files as { path?: unknown }[]).entries()) {
    const content = contents[i]
    if (typeof file?.path !== "string" || !(content instanceof ArrayBuffer)) return undefined
    bytes += content.byteLength
    if (isSafePath(file.path)) decoded.push({ path: file.path, contents: content })
    else unusable++
  }
  if (bytes > limits.artifactBytes) return undefined
  return {
    result: string("result"),
    error: string("error"),
    kind: string("kind"),
    traceback: string("traceback"),
    files: decoded,
    omitted: omitted + unusable,
  }
}

/** Failures come from four layers with many texts; each becomes one cause. */
function causeOf(error: unknown, disposed: boolean): [DeathCause, string] {
  const message = String((error as { message?: unknown } | null)?.message ?? error).slice(0, 300)
  if (/execution timed out/.test(message)) return ["time", "it did not stop when its time was over"]
  if (/memory limit|allocation failed|out of memory/i.test(message))
    return ["memory", "it used more memory than it may"]
  if (/call stack size|recursion/i.test(message)) return ["stack", "it nested too deeply"]
  if (/terminated with exit|ExitStatus|Exit/.test(message)) return ["exit", "it ended its own interpreter"]
  if (disposed || /disposed/.test(message)) return ["time", "it did not stop when its time was over"]
  return ["internal", message.split("\n")[0] ?? ""]
}
