/**
 * A folder of wheels goes in, what every new interpreter shall get comes out. The wheels are unpacked inside the isolate, never here:
 * this side only reads their bytes. Supported are pure wheels and wheels built for this Pyodide (`…_wasm32.whl`).
 */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { SandboxError } from "./sandbox-error.ts"

/** Wheels to install. */
export interface PackageOptions {
  /** A folder with `.whl` files; all of them are installed into every interpreter. No other source is ever asked. */
  readonly folder: string
  /** Modules to import before the isolate is hardened; useful where importing takes long. */
  readonly imports?: readonly string[]
}

export interface Packages {
  readonly wheels: readonly { readonly name: string; readonly contents: Uint8Array }[]
  readonly imports: readonly string[]
}

const mostBytes = 256 * 1024 * 1024

/** Throws SandboxError "bad-options": no such folder, no wheel in it, a name that is none, more than 256 MiB. */
export function readPackages({ folder, imports = [] }: PackageOptions): Packages {
  for (const name of imports)
    if (!/^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$/.test(name))
      throw bad(`${JSON.stringify(name)} is no name of a module.`, "Give names such as numpy or demo.core.")
  const names = listFolder(folder).filter((name) => name.endsWith(".whl"))
  if (names.length === 0) throw bad(`The package folder ${folder} holds no .whl file.`, "Put wheels into it.")
  for (const name of names)
    if (!/-(none-any|[\w.]*wasm32)\.whl$/.test(name))
      throw bad(
        `The wheel ${name} is built for another platform.`,
        "Use wheels that end in none-any.whl or wasm32.whl.",
      )
  const wheels = names.sort().map((name) => ({ name, contents: new Uint8Array(readFileSync(join(folder, name))) }))
  const bytes = wheels.reduce((sum, { contents }) => sum + contents.byteLength, 0)
  if (bytes > mostBytes) throw bad(`The wheels in ${folder} hold ${bytes} bytes.`, `${mostBytes} is the most.`)
  return { wheels, imports }
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    throw bad(`The package folder ${folder} cannot be read: ${String(error)}.`, "Give a folder that holds wheels.")
  }
}

function bad(detail: string, fix: string): SandboxError {
  return new SandboxError({ reason: "bad-options", detail, fix })
}
