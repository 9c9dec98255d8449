/**
 * A store in a folder: `<name>.json` for documents, `<name>.jsonl` for logs, `<name>.lock` while somebody works on it.
 * A document is written beside its place, flushed, and renamed into it. A lock names the process that holds it; the lock of a
 * process that is gone counts as free.
 *
 * Covered: crashes at any point, several processes on one machine. Not covered: several machines on one network folder.
 */
import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs"
import { link, mkdir, open, readdir, readFile, rename, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { SessionError } from "./error.ts"
import type { Store, StoreLog } from "./store.ts"
import { lockedError } from "./store-memory.ts"
import { isAlive, thisProcess } from "./store-owner.ts"

/** The folder is made when it does not exist. Names are 1 to 128 letters, digits, dots, hyphens and underscores. */
export async function folderStore(folder: string): Promise<Store> {
  await mkdir(folder, { recursive: true })
  const path = (name: string, extension: string): string => join(folder, `${checkedName(name)}.${extension}`)
  return {
    async read(name) {
      const text = await readIfThere(path(name, "json"))
      return text === undefined ? undefined : parse(text, path(name, "json"))
    },
    async write(name, document) {
      const target = path(name, "json")
      const draft = `${target}.${process.pid}.new`
      const file = await open(draft, "w")
      try {
        await file.writeFile(JSON.stringify(document))
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(draft, target)
    },
    async remove(name) {
      await rm(path(name, "json"), { force: true })
      await rm(path(name, "jsonl"), { force: true })
    },
    async list() {
      const names = (await readdir(folder)).flatMap((file) => /^(.*)\.jsonl?$/.exec(file)?.[1] ?? [])
      return [...new Set(names)].sort()
    },
    async log(name) {
      return fileLog(path(name, "jsonl"))
    },
    readLog: (name) => readIfThere(path(name, "jsonl")),
    lock: (name) => lockFile(path(name, "lock"), name),
    close: () => Promise.resolve(),
  }
}

/** Appends synchronously: when `append` returns, the kernel has the lines and a kill of this process cannot lose them. */
function fileLog(file: string): StoreLog {
  const descriptor = openSync(file, "a+")
  cutUnfinishedLine(descriptor)
  return {
    append: (lines) => void writeSync(descriptor, lines),
    async [Symbol.asyncDispose]() {
      fsyncSync(descriptor)
      closeSync(descriptor)
    },
  }
}

function cutUnfinishedLine(descriptor: number): void {
  const { size } = fstatSync(descriptor)
  const block = Buffer.alloc(64 * 1024)
  let end = size
  while (end > 0) {
    const start = Math.max(0, end - block.length)
    const length = readSync(descriptor, block, 0, end - start, start)
    const lineFeed = block.subarray(0, length).lastIndexOf(0x0a)
    if (lineFeed !== -1) {
      if (start + lineFeed + 1 < size) ftruncateSync(descriptor, start + lineFeed + 1)
      return
    }
    end = start
  }
  if (size > 0) ftruncateSync(descriptor, 0)
}

/** The file appears together with its contents, so nobody reads an owner that is not written yet. */
async function lockFile(file: string, name: string): Promise<AsyncDisposable> {
  const draft = `${file}.${process.pid}.${drafts++}`
  await writeFile(draft, thisProcess())
  try {
    for (let attempt = 0; attempt < 5; attempt++) {
      if (await linked(draft, file)) return { [Symbol.asyncDispose]: () => rm(file, { force: true }) }
      const held = await readIfThere(file)
      if (held === undefined) continue
      if (isAlive(held)) break
      if (await takenOver(file, held, draft)) return { [Symbol.asyncDispose]: () => rm(file, { force: true }) }
    }
    throw lockedError(name)
  } finally {
    await rm(draft, { force: true })
  }
}

let drafts = 0

/**
 * Puts the draft in the place of the lock of a process that is gone. Only who holds the claim to that very lock does so, and only
 * while it is still there, so of many that find it one gets it.
 */
async function takenOver(file: string, held: string, draft: string): Promise<boolean> {
  const claim = `${file}.${held.replace(/\W+/g, "-").slice(0, 64)}.claim`
  if (!(await linked(draft, claim))) {
    const claimant = await readIfThere(claim)
    if (claimant !== undefined && !isAlive(claimant)) await rm(claim, { force: true })
    return false
  }
  try {
    if ((await readIfThere(file)) !== held) return false
    await rename(draft, file)
    return true
  } finally {
    await rm(claim, { force: true })
  }
}

/** A second name for a file; false where the name is taken. */
async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
    return true
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "EEXIST") return false
    throw thrown
  }
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8")
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return undefined
    throw thrown
  }
}

function parse(text: string, file: string) {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new SessionError({
      reason: "malformed",
      detail: `The file ${file} is not JSON.`,
      fix: "It was changed from outside: restore it from a copy, or remove it.",
      cause,
    })
  }
}

function checkedName(name: string): string {
  if (/^[\w-][\w.-]{0,127}$/.test(name)) return name
  throw new SessionError({
    reason: "malformed",
    detail: `The name ${JSON.stringify(name.slice(0, 140))} cannot be stored.`,
    fix: "Use 1 to 128 letters, digits, dots, hyphens and underscores, with no dot in front.",
  })
}
