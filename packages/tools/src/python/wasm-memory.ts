/**
 * A WebAssembly binary with a lower ceiling on its memory goes out where one with a high ceiling came in. The ceiling in the
 * module is the one limit on wasm memory that V8 enforces: an isolate's `memoryLimit` does not count it.
 * Format: https://webassembly.github.io/spec/core/binary/modules.html#memory-section
 */
import { SandboxError } from "./sandbox-error.ts"

const memorySection = 5
const pageBytes = 65_536

/** Sets the maximum of the module's only memory to `maximumBytes` (rounded down to pages of 64 KiB). Returns a new array. */
export function capWasmMemory(wasm: Uint8Array<ArrayBuffer>, maximumBytes: number): Uint8Array<ArrayBuffer> {
  const bytes = wasm.slice()
  let at = 8
  const readNumber = () => {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++]
      if (byte === undefined) throw unsupported("it ends within a number")
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
  }
  while (at < bytes.length) {
    const section = bytes[at++]
    const length = readNumber()
    if (section !== memorySection) {
      at += length
      continue
    }
    readNumber() // how many memories: always one
    const flags = bytes[at++]!
    const minimumPages = readNumber()
    if ((flags & 1) === 0) throw unsupported("its memory has no maximum to lower")
    const start = at
    readNumber()
    let pages = Math.floor(maximumBytes / pageBytes)
    if (pages < minimumPages) throw unsupported(`its memory needs at least ${minimumPages * pageBytes} bytes`)
    // The number keeps its length, so that no other byte of the file moves.
    for (let i = start; i < at; i++) {
      bytes[i] = (pages & 127) | (i < at - 1 ? 128 : 0)
      pages >>>= 7
    }
    if (pages !== 0) throw unsupported("the new maximum does not fit")
    return bytes
  }
  throw unsupported("it has no memory section")
}

function unsupported(why: string) {
  return new SandboxError({
    reason: "bad-pyodide",
    detail: `The memory of pyodide.asm.wasm cannot be limited: ${why}.`,
    fix: "Install the version of pyodide that this package names in its package.json.",
  })
}
