/**
 * The memory snapshot on disk. A snapshot is a raw image of an interpreter: loading a forged one would run foreign code (inside the
 * isolate), so the folder must belong to this user alone, and the file names its key and carries a digest of its bytes.
 * Layout: "chasqui-snapshot\n", key in hex (64), "\n", SHA-256 of the image in hex (64), "\n", image.
 */
import { createHash } from "node:crypto"
import {
  chmodSync,
  closeSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs"
import { dirname, join } from "node:path"

const magic = "chasqui-snapshot\n"
const headerBytes = magic.length + 64 + 1 + 64 + 1

/** The image, in memory that isolates can share, or undefined when the file is absent, of another key, cut short or damaged. */
export function readSnapshot(path: string, key: string): Uint8Array<SharedArrayBuffer> | undefined {
  let file: number
  try {
    file = openSync(path, "r")
  } catch {
    return undefined
  }
  try {
    const head = Buffer.alloc(headerBytes)
    const bytes = fstatSync(file).size - headerBytes
    if (bytes < 0 || readSync(file, head, 0, headerBytes, 0) !== headerBytes) return undefined
    const image = new Uint8Array(new SharedArrayBuffer(bytes))
    if (readSync(file, image, 0, bytes, headerBytes) !== bytes) return undefined
    return head.toString("latin1") === header(key, image) ? image : undefined
  } finally {
    closeSync(file)
  }
}

/** Writes beside the target and renames, so that a reader sees all of it or nothing. Gives false where the folder cannot be trusted or written. */
export function writeSnapshot(path: string, key: string, image: Uint8Array): boolean {
  const temporary = `${path}.${process.pid}.tmp`
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    if (!isPrivateFolder(dirname(path))) return false
    writeFileSync(temporary, Buffer.concat([Buffer.from(header(key, image), "latin1"), image]), {
      mode: 0o600,
      flag: "wx",
    })
    renameSync(temporary, path)
    return true
  } catch {
    rmSync(temporary, { force: true })
    return false
  }
}

/** Whether only this user can change what is in the folder; a folder of our own that is open to others is closed first. */
export function isPrivateFolder(folder: string): boolean {
  try {
    const status = lstatSync(folder)
    if (!status.isDirectory()) return false
    if (process.getuid === undefined) return true
    if (status.uid !== process.getuid()) return false
    if ((status.mode & 0o022) !== 0) chmodSync(folder, 0o700)
    return true
  } catch {
    return false
  }
}

export function snapshotPath(folder: string, key: string): string {
  return join(folder, `${key.slice(0, 32)}.snapshot`)
}

/** One key for everything that decides what the image holds and where it can be loaded. */
export function snapshotKey(parts: readonly (string | number)[]): string {
  const hash = createHash("sha256")
  const [v8, node] = [process.versions.v8, process.versions.node]
  for (const part of [...parts, v8, node, process.platform, process.arch])
    hash.update(`${String(part).length}:${part};`)
  return hash.digest("hex")
}

function header(key: string, image: Uint8Array): string {
  return `${magic}${key}\n${createHash("sha256").update(image).digest("hex")}\n`
}
