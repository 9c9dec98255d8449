/**
 * Pyodide's files go in, the form that an isolate can run comes out: a compiled module with a memory ceiling, the standard library
 * as shared bytes, and two scripts without import, export or file access. Every rewriting must find its place: an upgrade of
 * Pyodide that moves one fails here and not later in silence.
 */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { SandboxError } from "./sandbox-error.ts"
import { capWasmMemory } from "./wasm-memory.ts"

/** The global of the same name, which the types of Node 24 for a program without DOM do not know. */
declare const WebAssembly: { readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object }

export interface PyodideFiles {
  readonly version: string
  /** A compiled WebAssembly.Module, which all isolates share. */
  readonly wasm: object
  readonly stdlib: SharedArrayBuffer
  /** A lock file that knows no packages. */
  readonly lock: string
  readonly scripts: readonly { readonly name: string; readonly source: string }[]
}

/** Reads the folder of the `pyodide` package. `memoryBytes` is the most that the interpreter's memory may grow to. */
export function readPyodideFiles(folder: string, memoryBytes: number): PyodideFiles {
  const text = (name: string) => readFileSync(join(folder, name), "utf8")
  const lock = JSON.parse(text("pyodide-lock.json")) as { info: unknown }
  return {
    version: (JSON.parse(text("package.json")) as { version: string }).version,
    wasm: new WebAssembly.Module(
      capWasmMemory(new Uint8Array(readFileSync(join(folder, "pyodide.asm.wasm"))), memoryBytes),
    ),
    stdlib: shareBytes(readFileSync(join(folder, "python_stdlib.zip"))),
    lock: JSON.stringify({ info: lock.info, packages: {} }),
    scripts: [
      { name: "pyodide.asm.js", source: rewriteModule(text("pyodide.asm.mjs")) },
      { name: "pyodide.js", source: rewriteLoader(text("pyodide.mjs")) },
    ],
  }
}

/** Copies bytes into memory that all isolates of a process can read: half the resident memory of an extra sandbox. */
export function shareBytes(bytes: Uint8Array): SharedArrayBuffer {
  const shared = new SharedArrayBuffer(bytes.byteLength)
  new Uint8Array(shared).set(bytes)
  return shared
}

type Edit = readonly [what: string, find: string | RegExp, replacement: string]

const moduleEdits: readonly Edit[] = [
  ["the module's own address", /import\.meta\.url/g, '"pyodide.asm.mjs"'],
  // In parentheses, the module's one large function is compiled at once and so is part of the code cache.
  [
    "the beginning of the module's function",
    "async function _createPyodideModule(moduleArg={}){",
    "globalThis._createPyodideModule=(async function(moduleArg={}){",
  ],
  ["the export", /export default _createPyodideModule;\s*$/, ");"],
  [
    "the source of random bytes",
    "var initRandomFill=()=>{",
    "var initRandomFill=()=>{return view=>(__random(view),view);",
  ],
  // The in-memory file system asks for each entry and each growth.
  [
    "new entries",
    "createNode(parent,name,mode,dev){if(FS.isBlkdev(",
    "createNode(parent,name,mode,dev){__quota(FS,0,1);if(FS.isBlkdev(",
  ],
  [
    "growth by writing",
    "var oldContents=MEMFS.getFileDataAsTypedArray(node);node.contents=new Uint8Array(newCapacity)",
    "__quota(FS,newCapacity-prevCapacity,0);var oldContents=MEMFS.getFileDataAsTypedArray(node);node.contents=new Uint8Array(newCapacity)",
  ],
  [
    "growth by truncating",
    "if(node.usedBytes==newSize)return;var oldContents=node.contents;",
    "if(node.usedBytes==newSize)return;__quota(FS,newSize-node.contents.length,0);var oldContents=node.contents;",
  ],
  [
    "growth by a first write",
    "else if(node.usedBytes===0&&position===0){node.contents=buffer.slice(",
    "else if(node.usedBytes===0&&position===0){__quota(FS,length,0);node.contents=buffer.slice(",
  ],
]

function rewriteModule(source: string): string {
  const body = moduleEdits.reduce(rewrite, source)
  // The function holds on to what the globals lose when the isolate is hardened.
  return `((Function,WebAssembly,__random,__quota)=>{${body}})(Function,WebAssembly,__chasqui.random,__chasqui.quota)`
}

function rewriteLoader(source: string): string {
  const exported = /export\s*\{\s*([\w$]+) as loadPyodide\b[^}]*\};?/.exec(source)
  const edits: readonly Edit[] = [
    ["the loader's export", exported?.[0] ?? "export{", `globalThis.__loadPyodide=${exported?.[1]};`],
    ["the source map", /\/\/# sourceMappingURL.*/, ""],
  ]
  return `(()=>{${edits.reduce(rewrite, source)}})()`
}

function rewrite(source: string, [what, find, replacement]: Edit): string {
  const result = source.replace(find, () => replacement)
  if (result !== source) return result
  throw new SandboxError({
    reason: "bad-pyodide",
    detail: `Pyodide's scripts have no known place for ${what}.`,
    fix: "Install the version of pyodide that this package names in its package.json.",
  })
}
