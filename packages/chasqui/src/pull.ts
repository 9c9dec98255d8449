/**
 * A checkpoint from the Hugging Face hub into a folder: only the files that the engine reads, each under a name of its own
 * until it is whole and its checksum is right, so a download that was cut goes on where it stopped. The token goes to the
 * hub alone and stands in no message.
 */
import { createHash } from "node:crypto"
import { createReadStream } from "node:fs"
import { mkdir, open, rename, rm, stat } from "node:fs/promises"
import { dirname, join } from "node:path"
import { downloadFile, HubApiError, type ListFileEntry, listFiles } from "@huggingface/hub"
import { PullError } from "./pull-error.ts"

export { PullError }

export interface PullOptions {
  /** Such as `meta-llama/Llama-3.1-8B-Instruct`. */
  readonly repository: string
  readonly folder: string
  /** A branch, a tag or a commit; default `main`. */
  readonly revision?: string
  /** Sent as a bearer token to the hub. */
  readonly token?: string
  /** Default: huggingface.co. */
  readonly hubUrl?: string
  /** How often a file is taken up again after its connection was lost; default 5. */
  readonly retries?: number
  /** Milliseconds without a byte until a connection counts as lost; default 60,000. */
  readonly idleTimeoutMs?: number
  readonly onProgress?: (progress: PullProgress) => void
  readonly signal?: AbortSignal
  /** Waits before another try; default: the clock. */
  readonly sleep?: (ms: number) => Promise<void>
}

export interface PullProgress {
  readonly file: string
  /** Bytes of the file that are on the disk, and of the whole. */
  readonly bytes: number
  readonly size: number
  readonly state: "present" | "resumed" | "loading" | "checking" | "done"
}

export interface Pulled {
  readonly files: readonly string[]
  readonly bytes: number
}

/** Downloads what is missing. Throws PullError. */
export async function pull(options: PullOptions): Promise<Pulled> {
  const files = chooseFiles(await list(options))
  await mkdir(options.folder, { recursive: true })
  let bytes = 0
  for (const file of files) {
    await pullFile(file, options)
    bytes += file.size
  }
  return { files: files.map(({ path }) => path), bytes }
}

const needed = new Set([
  "config.json",
  "generation_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "chat_template.jinja",
  "model.safetensors.index.json",
  "adapter_config.json",
  "adapter_model.safetensors",
  "quantize_config.json",
])

/** The files that the engine reads, smallest first: what is wrong with a checkpoint shows before its weights arrive. */
function chooseFiles(entries: readonly ListFileEntry[]): readonly ListFileEntry[] {
  const chosen = entries.filter(
    ({ type, path }) => type === "file" && (needed.has(path) || /^model(-\d+-of-\d+)?\.safetensors$/.test(path)),
  )
  if (chosen.some(({ path }) => path.endsWith(".safetensors")))
    return [...chosen].sort((a, b) => a.size - b.size || (a.path < b.path ? -1 : 1))
  const other = entries.find(({ path }) => /\.(bin|pth|gguf)$/.test(path))
  throw new PullError({
    reason: "no-checkpoint",
    detail: `The repository holds no model.safetensors${other === undefined ? "" : `, but ${other.path}`}.`,
    fix: "Choose a repository with weights in safetensors; most models have one.",
  })
}

async function list(options: PullOptions): Promise<readonly ListFileEntry[]> {
  const { repository } = options
  if (!/^[\w.-]+\/[\w.-]+$/.test(repository))
    throw new PullError({
      reason: "bad-request",
      detail: `${JSON.stringify(repository)} is no name of a repository.`,
      fix: "Name owner and model, such as meta-llama/Llama-3.1-8B-Instruct.",
    })
  try {
    const entries: ListFileEntry[] = []
    for await (const entry of listFiles({ ...place(options), recursive: false })) entries.push(entry)
    return entries
  } catch (cause) {
    throw explained(cause, repository, options)
  }
}

const place = ({ repository, revision, hubUrl, token, signal, idleTimeoutMs = 60_000 }: PullOptions) => ({
  repo: { type: "model" as const, name: repository },
  ...(revision !== undefined && { revision }),
  ...(hubUrl !== undefined && { hubUrl }),
  ...(token !== undefined && { accessToken: token }),
  fetch: boundedFetch(idleTimeoutMs, signal),
})

/** A fetch whose answer has to begin in time, and which the caller can abort. */
function boundedFetch(ms: number, signal: AbortSignal | undefined): typeof fetch {
  return async (input, init) => {
    const late = new AbortController()
    const timer = setTimeout(() => late.abort(new Error(`no answer within ${ms} ms`)), ms)
    try {
      return await fetch(input, { ...init, signal: signal ? AbortSignal.any([signal, late.signal]) : late.signal })
    } finally {
      clearTimeout(timer)
    }
  }
}

async function pullFile(file: ListFileEntry, options: PullOptions): Promise<void> {
  const { folder, onProgress, retries = 5, sleep = wait } = options
  const path = join(folder, file.path)
  const report = (state: PullProgress["state"], bytes: number) =>
    onProgress?.({ file: file.path, bytes, size: file.size, state })
  if ((await sizeOf(path)) === file.size && (await isRight(path, file))) return report("present", file.size)
  const partial = `${path}.partial`
  await mkdir(dirname(partial), { recursive: true })
  for (let attempt = 0; ; attempt++) {
    try {
      await append(partial, file, options, report)
      break
    } catch (cause) {
      const error = explained(cause, file.path, options)
      if (error.reason !== "connection-lost" || attempt >= retries) throw error
      await sleep(Math.min(30_000, 500 * 2 ** attempt))
    }
  }
  report("checking", file.size)
  if (!(await isRight(partial, file))) {
    await rm(partial, { force: true })
    throw new PullError({
      reason: "wrong-checksum",
      detail: `${file.path} arrived whole, but its SHA-256 is not the one that the hub gives. It was deleted.`,
      fix: "Pull again. If it happens twice, something between here and the hub changes the data.",
    })
  }
  await rename(partial, path)
  report("done", file.size)
}

/** Writes what `partial` lacks of the file. Throws where the connection ends before the file does. */
async function append(
  partial: string,
  file: ListFileEntry,
  options: PullOptions,
  report: (state: PullProgress["state"], bytes: number) => void,
): Promise<void> {
  const present = await sizeOf(partial)
  const start = present > file.size ? 0 : present
  const output = await open(partial, start === 0 ? "w" : "a")
  let written = start
  try {
    if (start > 0) report("resumed", start)
    if (start === file.size) return
    const blob = await downloadFile({ ...place(options), path: file.path })
    if (blob === null) throw missing(file.path)
    if (blob.size !== file.size)
      throw new PullError({
        reason: "wrong-size",
        detail: `${file.path} is announced with ${file.size} bytes and offered with ${blob.size}.`,
        fix: "Pull again: the repository may have changed in between.",
      })
    for await (const chunk of chunks(blob.slice(start), options)) {
      await output.write(chunk)
      written += chunk.length
      report("loading", written)
    }
  } finally {
    await output.close()
  }
  if (written < file.size) throw new Error(`the connection ended after ${written} of ${file.size} bytes`)
  if (written > file.size) {
    await rm(partial, { force: true })
    throw new PullError({
      reason: "wrong-size",
      detail: `${file.path} has ${file.size} bytes and ${written} arrived.`,
      fix: "Pull again. If it happens twice, the server does not answer ranges as it should.",
    })
  }
}

async function* chunks(blob: Blob, { idleTimeoutMs = 60_000, signal }: PullOptions): AsyncGenerator<Uint8Array> {
  const reader = blob.stream().getReader()
  try {
    while (true) {
      const { done, value } = await within(reader.read(), idleTimeoutMs, signal)
      if (done) return
      yield value
    }
  } finally {
    reader.cancel().catch(() => undefined)
  }
}

/** The promise, or a rejection when it takes longer or the signal is aborted. */
async function within<T>(promise: Promise<T>, ms: number, signal: AbortSignal | undefined): Promise<T> {
  const stopped = Promise.withResolvers<never>()
  const timer = setTimeout(() => stopped.reject(new Error(`no byte arrived within ${ms} ms`)), ms)
  const onAbort = () => stopped.reject(signal?.reason)
  signal?.addEventListener("abort", onAbort, { once: true })
  if (signal?.aborted) onAbort()
  promise.catch(() => undefined)
  try {
    return await Promise.race([promise, stopped.promise])
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener("abort", onAbort)
  }
}

async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.size ?? 0
}

/** Large files have a SHA-256 on the hub, small ones the id that Git gives their content. */
async function isRight(path: string, { lfs, oid, size }: ListFileEntry): Promise<boolean> {
  if (lfs === undefined && oid === undefined) return true
  const hash = createHash(lfs === undefined ? "sha1" : "sha256")
  if (lfs === undefined) hash.update(`blob ${size}\0`)
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer)
  return hash.digest("hex") === (lfs?.oid ?? oid)
}

function missing(what: string): PullError {
  return new PullError({
    reason: "not-found",
    detail: `The hub has no ${what}.`,
    fix: "Check owner, name and revision; a private repository looks like none without a token for it.",
  })
}

/** What a failure means, without the token, which some servers repeat in their answers. */
function explained(cause: unknown, what: string, { token, signal }: PullOptions): PullError {
  if (cause instanceof PullError) return cause
  if (signal?.aborted)
    return new PullError({
      reason: "aborted",
      detail: `The download of ${what} was stopped.`,
      fix: "Pull again: it goes on where it stopped.",
    })
  if (cause instanceof HubApiError) return refused(cause.statusCode, what)
  const text =
    cause instanceof Error
      ? `${cause.message}${cause.cause instanceof Error ? `: ${cause.cause.message}` : ""}`
      : String(cause)
  const safe = token === undefined || token === "" ? text : text.replaceAll(token, "(token)")
  return new PullError({
    reason: "connection-lost",
    detail: `The connection to the hub was lost at ${what}: ${safe.slice(0, 300)}`,
    fix: "Pull again: it goes on where it stopped.",
  })
}

function refused(status: number, what: string): PullError {
  if (status === 404) return missing(what)
  if (status === 401 || status === 403)
    return new PullError({
      reason: "not-allowed",
      detail: `The hub does not give ${what} away (status ${status}).`,
      fix: "Put a token that may read it into HF_TOKEN; for gated models, accept their terms on the hub first.",
    })
  if (status === 429 || status >= 500)
    return new PullError({
      reason: "connection-lost",
      detail: `The hub answered ${what} with status ${status}.`,
      fix: "Pull again later: it goes on where it stopped.",
    })
  return new PullError({
    reason: "refused",
    detail: `The hub answered ${what} with status ${status}.`,
    fix: "Check owner, name and revision.",
  })
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
