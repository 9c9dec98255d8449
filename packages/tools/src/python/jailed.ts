/**
 * The program of the jailed process: reads requests on stdin, keeps Python isolates, writes replies on descriptor 3 (stdout and stderr
 * are for what V8 has to say). It needs no rights:
 * nothing to write, no network, no child, no environment. It ends when its stdin ends. The host kills it on any doubt.
 */
import { Socket } from "node:net"
import { encodeFrame, type Frame, FrameReader } from "./frame.ts"
import { type CallOutcome, type IsolateSetup, makeSnapshot, PythonIsolate } from "./isolate.ts"
import { cutBytes, type Reply, type Request, type Stream } from "./protocol.ts"
import { readPyodideFiles, shareBytes } from "./pyodide-files.ts"
import { type ResidentLimit, residentLimitBytes } from "./resident-memory.ts"
import { readSnapshot } from "./snapshot-file.ts"

/** How often text that was printed goes to the host while code runs. */
const outputIntervalMs = 40

/** The host watches this too, on Linux; elsewhere this is the only check. */
let resident: ResidentLimit | undefined

const boxes = new Map<number, PythonIsolate>()
let setup: IsolateSetup | undefined

const replies = new Socket({ fd: 3, readable: false, writable: true })
const reader = new FrameReader({ jsonBytes: 64 * 1024 * 1024, attachmentBytes: 1024 * 1024 * 1024 })
process.stdin.on("data", (chunk: Uint8Array) => {
  for (const frame of reader.push(chunk)) void handle(frame)
})
// Isolates are not disposed first: that, followed at once by the end of the process, would crash it.
process.stdin.on("end", () => process.exit(0))

function send(reply: Reply, attachments: readonly Uint8Array[] = []): void {
  for (const part of encodeFrame(reply, attachments)) replies.write(part)
}

/** 0 where the walls hide it. */
function residentBytes(): number {
  try {
    return process.memoryUsage.rss()
  } catch {
    return 0
  }
}

async function handle({ json, attachment }: Frame): Promise<void> {
  const request = json as Request
  try {
    await answer(request, attachment)
  } catch (error) {
    send({
      type: "failed",
      id: "id" in request ? request.id : 0,
      detail: String(error instanceof Error ? error.stack : error),
    })
  }
}

async function answer(request: Request, attachment: Uint8Array<ArrayBuffer>): Promise<void> {
  if (request.type === "start") return start(request, attachment)
  if (request.type === "create") {
    boxes.set(request.box, await PythonIsolate.create(setup!))
    return send({ type: "created", id: request.id })
  }
  const box = boxes.get(request.box)
  if (!box) {
    if ("id" in request) send({ type: "failed", id: request.id, detail: `there is no sandbox ${request.box}` })
    return
  }
  switch (request.type) {
    case "run":
      return run(box, request)
    case "put":
      return send({ type: "put", id: request.id, stored: await box.put(request.path, attachment.slice().buffer) })
    case "take": {
      const contents = await box.take(request.path)
      return send(
        { type: "taken", id: request.id, found: contents !== null },
        contents ? [new Uint8Array(contents)] : [],
      )
    }
    case "interrupt":
      return box.interrupt()
    case "dispose":
      boxes.delete(request.box)
      return box.dispose()
  }
}

async function start(request: Extract<Request, { type: "start" }>, attachment: Uint8Array<ArrayBuffer>): Promise<void> {
  const { limits, snapshot } = request
  resident = request.resident
  const pyodide = readPyodideFiles(request.pyodideFolder, limits.memoryMb * 1024 * 1024)
  const contents = cutBytes(attachment, request.wheels)
  const wheels = request.wheels.map(({ name }, i) => ({ name, contents: contents[i]! }))
  const packages = { wheels, imports: request.imports }
  const found = readSnapshot(snapshot.path, snapshot.key)
  const image = found ?? new Uint8Array(shareBytes(new Uint8Array(await makeSnapshot({ pyodide, limits }))))
  setup = { pyodide, limits, packages, snapshot: image.buffer }
  send({ type: "ready", snapshot: found ? "loaded" : "made" }, found ? [] : [image])
}

async function run(
  box: PythonIsolate,
  { id, code, timeoutMs, box: number }: Extract<Request, { type: "run" }>,
): Promise<void> {
  const stdout = new OutputTail(id, "stdout", box.stdout)
  const stderr = new OutputTail(id, "stderr", box.stderr)
  stdout.reset()
  stderr.reset()
  const timer = setInterval(() => {
    stdout.forward("running")
    stderr.forward("running")
    if (resident && residentBytes() > residentLimitBytes(resident, boxes.size + 1)) process.abort()
  }, outputIntervalMs)
  const outcome = await box.execute(code, timeoutMs)
  clearInterval(timer)
  stdout.forward("ended")
  stderr.forward("ended")
  if (box.dead) boxes.delete(number)
  const contents = outcome.status === "died" ? [] : outcome.files.map((file) => new Uint8Array(file.contents))
  send({ type: "ran", id, outcome: wireOutcome(outcome, stdout.cut, stderr.cut) }, contents)
}

function wireOutcome(outcome: CallOutcome, stdoutCut: boolean, stderrCut: boolean) {
  const died = outcome.status === "died"
  return {
    status: outcome.status,
    stdoutCut,
    stderrCut,
    result: died ? null : outcome.result,
    error: died ? outcome.detail : (outcome.error?.message ?? null),
    traceback: died ? null : (outcome.error?.traceback ?? null),
    cause: died ? outcome.cause : null,
    files: died ? [] : outcome.files.map(({ path, contents }) => ({ path, bytes: contents.byteLength })),
    omitted: died ? 0 : outcome.omitted,
  }
}

/** What was printed and not yet sent. The buffer is shared with code that may write anything into it: only its bounds are trusted. */
class OutputTail {
  readonly #id: number
  readonly #stream: Stream
  readonly #head: Int32Array
  readonly #body: Uint8Array
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true })
  #sent = 0

  constructor(id: number, stream: Stream, shared: SharedArrayBuffer) {
    this.#id = id
    this.#stream = stream
    this.#head = new Int32Array(shared, 0, 2)
    this.#body = new Uint8Array(shared, 8)
  }

  get cut(): boolean {
    return this.#head[1] !== 0
  }

  /** The last call's text goes before the next call begins, so that none of it is sent twice. */
  reset(): void {
    this.#head.fill(0)
  }

  forward(state: "running" | "ended"): void {
    const length = Math.min(Math.max(Atomics.load(this.#head, 0), this.#sent), this.#body.length)
    const text = this.#decoder.decode(this.#body.slice(this.#sent, length), { stream: state === "running" })
    this.#sent = length
    if (text !== "") send({ type: "output", id: this.#id, stream: this.#stream, text })
  }
}
