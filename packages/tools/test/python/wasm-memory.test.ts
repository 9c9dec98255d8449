import { readFileSync } from "node:fs"
import { join } from "node:path"
import { expect, it } from "vitest"
import { pyodideFolder } from "../../src/python/jail.ts"
import { capWasmMemory } from "../../src/python/wasm-memory.ts"

declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object
  readonly Instance: new (module: object) => { readonly exports: { readonly m: { grow(pages: number): number } } }
}

/** A module that exports a memory of one page, which may grow to 65,536 pages: the maximum takes three bytes. */
const growing = Uint8Array.from([0, 97, 115, 109, 1, 0, 0, 0, 5, 6, 1, 1, 1, 0x80, 0x80, 0x04, 7, 5, 1, 1, 109, 2, 0])

it("lets the memory grow to the new maximum and no further", () => {
  const { m } = new WebAssembly.Instance(new WebAssembly.Module(capWasmMemory(growing, 10 * 65_536))).exports
  expect(m.grow(9)).toBe(1)
  expect(() => m.grow(1)).toThrow(RangeError)
})

it("changes nothing else in Pyodide's own module", () => {
  const wasm = new Uint8Array(readFileSync(join(pyodideFolder, "pyodide.asm.wasm")))
  const capped = capWasmMemory(wasm, 64 * 1024 * 1024)
  const changed = [...wasm.keys()].filter((i) => wasm[i] !== capped[i])
  expect(changed.length).toBeGreaterThan(0)
  expect(changed.at(-1)! - changed[0]!).toBeLessThan(3)
})

it.each([
  ["a maximum below the minimum", growing, 1000],
  ["no memory section", growing.slice(0, 8), 65_536],
  ["a section that ends early", growing.slice(0, 12), 65_536],
  ["a memory without a maximum", Uint8Array.from([0, 97, 115, 109, 1, 0, 0, 0, 5, 3, 1, 0, 1]), 65_536],
])("refuses %s", (_, wasm, bytes) => {
  expect(() => capWasmMemory(wasm, bytes)).toThrow(
    expect.objectContaining({ _tag: "SandboxError", reason: "bad-pyodide" }),
  )
})
