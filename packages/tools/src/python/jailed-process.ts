/**
 * The host's end of one jailed process: sends requests, hands replies to who waits for them, and kills the process on silence, on a
 * broken protocol or on too much memory. Every wait ends: with a reply or with the reason why the process is gone.
 */
import type { ChildProcess } from "node:child_process"
import type { Readable } from "node:stream"
import { encodeFrame, FrameReader } from "./frame.ts"
import { isJailComplaint, type JailOptions, startJail } from "./jail.ts"
import type { SandboxLimits } from "./limits.ts"
import { decodeReply, type Reply, type Request, type Stream } from "./protocol.ts"
import { type ResidentLimit, residentBytes, residentLimitBytes } from "./resident-memory.ts"

export interface Answered {
  readonly reply: Reply
  readonly attachment: Uint8Array<ArrayBuffer>
}

export interface RequestOptions {
  /** The process is killed when the reply takes longer. */
  readonly deadlineMs: number
  readonly onOutput?: (stream: Stream, text: string) => void
  readonly attachment?: Uint8Array
}

/** The process ended, or was ended, before it answered. The message is fit for a model; what the process wrote is for people. */
export class ProcessGone extends Error {
  readonly _tag = "ProcessGone"
  readonly complaint: string

  constructor(message: string, complaint = "") {
    super(message)
    this.complaint = complaint
  }
}

interface Waiting {
  readonly resolve: (answered: Answered) => void
  readonly reject: (error: ProcessGone) => void
  readonly timer: NodeJS.Timeout
  readonly onOutput: RequestOptions["onOutput"]
  outputBytes: number
}

type WithId = Extract<Request, { readonly id: number }>
type WithoutId<R> = R extends WithId ? Omit<R, "id"> : never

const memoryIntervalMs = 200
const snapshotBytes = 256 * 1024 * 1024

export class JailedProcess {
  readonly #child: ChildProcess
  readonly #limits: SandboxLimits
  readonly #waiting = new Map<number, Waiting>()
  readonly #ended: Promise<void>
  #lastId = 0
  #gone: ProcessGone | undefined
  readonly #resident: ResidentLimit
  /** The interpreters in it, as far as the host has asked for them. */
  readonly #boxes = new Set<number>()
  #watch: NodeJS.Timeout | undefined
  #complaint = ""
  #heard = false

  /** `start` gives the process another program; the protocol is the same. */
  constructor(limits: SandboxLimits, jail: JailOptions, start: (jail: JailOptions) => ChildProcess = startJail) {
    this.#limits = limits
    this.#resident = jail.resident
    this.#child = start(jail)
    const { stdin, stdout, stderr } = this.#child
    const replies = this.#child.stdio[3] as Readable
    const reader = new FrameReader({
      jsonBytes: 16 * (limits.outputBytes + limits.resultCharacters) + 4 * 1024 * 1024,
      attachmentBytes: Math.max(limits.artifactBytes, snapshotBytes),
    })
    replies.on("data", (chunk: Uint8Array) => this.#receive(reader, chunk))
    for (const stream of [stdout!, stderr!])
      stream.on("data", (chunk: Buffer) => {
        this.#complaint = (this.#complaint + chunk.toString("utf8")).slice(-2000)
      })
    stdin!.on("error", () => {}) // the process ended while something was being written: its end says so
    this.#ended = new Promise((resolve) => {
      this.#child.once("error", (error) => {
        this.#end(`could not be started: ${error.message}`)
        resolve()
      })
      this.#child.once("close", (code, signal) => {
        this.#end(`ended by itself (${signal ?? `exit code ${code}`})`)
        resolve()
      })
    })
    this.#letHostEnd()
  }

  get gone(): ProcessGone | undefined {
    return this.#gone
  }

  /** The process never ran: this system does not let its walls be built. */
  get wallsRefused(): boolean {
    return this.#gone !== undefined && !this.#heard && isJailComplaint(this.#complaint)
  }

  /** Sends the set-up; the reply says whether the snapshot had to be made. */
  start(request: Extract<Request, { type: "start" }>, options: RequestOptions): Promise<Answered> {
    return this.#wait(0, request, options)
  }

  request(request: WithoutId<Request>, options: RequestOptions): Promise<Answered> {
    const id = ++this.#lastId
    if (request.type === "create") this.#boxes.add(request.box)
    return this.#wait(id, { ...request, id } as WithId, options)
  }

  /** For requests that have no reply. */
  tell(request: Extract<Request, { type: "interrupt" | "dispose" }>): void {
    if (request.type === "dispose") this.#boxes.delete(request.box)
    if (!this.#gone) this.#write(request)
  }

  /** Ends the process at once; whoever waits is told the reason. */
  kill(reason: string): void {
    this.#end(reason)
    this.#child.kill("SIGKILL")
  }

  /** Kills, and is done when the process is gone. */
  async close(): Promise<void> {
    this.kill("was closed")
    this.#child.ref()
    for (const pipe of this.#pipes()) pipe.ref()
    await this.#ended
  }

  #wait(id: number, request: Request, options: RequestOptions): Promise<Answered> {
    if (this.#gone) return Promise.reject(this.#gone)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.kill(`did not answer within ${options.deadlineMs} ms`), options.deadlineMs)
      this.#waiting.set(id, { resolve, reject, timer, onOutput: options.onOutput, outputBytes: 0 })
      this.#holdHost()
      this.#write(request, options.attachment)
    })
  }

  #write(request: Request, attachment?: Uint8Array): void {
    for (const part of encodeFrame(request, attachment ? [attachment] : [])) this.#child.stdin!.write(part)
  }

  #receive(reader: FrameReader, chunk: Uint8Array): void {
    if (this.#gone) return
    this.#heard = true
    try {
      for (const { json, attachment } of reader.push(chunk)) {
        const reply = decodeReply(json, attachment.byteLength)
        if (reply) this.#deliver(reply, attachment)
        else this.kill("sent a reply that is none")
        if (this.#gone) return
      }
    } catch (error) {
      this.kill(`broke the protocol: ${String(error)}`)
    }
  }

  #deliver(reply: Reply, attachment: Uint8Array<ArrayBuffer>): void {
    const id = reply.type === "ready" ? 0 : reply.id
    const waiting = this.#waiting.get(id)
    if (!waiting) {
      this.kill("answered what nobody asked")
      return
    }
    if (reply.type === "output") {
      waiting.outputBytes += reply.text.length
      if (waiting.outputBytes > 2 * this.#limits.outputBytes + 16) this.kill("printed more than it may")
      else waiting.onOutput?.(reply.stream, reply.text)
      return
    }
    clearTimeout(waiting.timer)
    this.#waiting.delete(id)
    if (this.#waiting.size === 0) this.#letHostEnd()
    waiting.resolve({ reply, attachment })
  }

  #end(reason: string): void {
    if (this.#gone) return
    this.#gone = new ProcessGone(`the sandbox process ${reason}`, this.#complaint)
    this.#letHostEnd()
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer)
      reject(this.#gone)
    }
    this.#waiting.clear()
  }

  /** An idle process does not keep the host's event loop alive; it ends with its stdin, that is with the host. */
  #letHostEnd(): void {
    clearInterval(this.#watch)
    this.#watch = undefined
    this.#child.unref()
    for (const pipe of this.#pipes()) pipe.unref()
  }

  #checkMemory(): void {
    const { pid } = this.#child
    const bytes = pid === undefined ? undefined : residentBytes(pid)
    if (bytes !== undefined && bytes > residentLimitBytes(this.#resident, this.#boxes.size))
      this.kill(`held ${bytes} bytes of memory, more than it may`)
  }

  /** Also watches how much memory the process holds while it works. */
  #holdHost(): void {
    this.#watch ??= setInterval(() => this.#checkMemory(), memoryIntervalMs)
    this.#child.ref()
    for (const pipe of this.#pipes()) pipe.ref()
  }

  #pipes(): { ref(): unknown; unref(): unknown }[] {
    return this.#child.stdio.slice(0, 4) as unknown as { ref(): unknown; unref(): unknown }[]
  }
}
