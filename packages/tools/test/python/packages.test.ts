import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, expect, it } from "vitest"
import { pythonSandbox } from "../../src/python/sandbox.ts"

const folder = mkdtempSync(join(tmpdir(), "chasqui-wheels-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Written by Python itself: two wheels, one pure, one with a side module in WebAssembly that adds two numbers. */
const makeWheels = `
import zipfile

def leb(n):
    out = b""
    while True:
        n, low = n >> 7, n & 127
        if not n: return out + bytes([low])
        out += bytes([low | 128])

def section(kind, body): return bytes([kind]) + leb(len(body)) + body
def text(s): return leb(len(s)) + s

add = b"\\x00\\x20\\x00\\x20\\x01\\x6a\\x0b"  # local.get 0, local.get 1, i32.add, end
module = (
    b"\\0asm\\1\\0\\0\\0"
    + section(0, text(b"dylink.0") + b"\\x01\\x04\\0\\0\\0\\0")
    + section(1, b"\\x01\\x60\\x02\\x7f\\x7f\\x01\\x7f")
    + section(3, b"\\x01\\x00")
    + section(7, b"\\x01" + text(b"add") + b"\\x00\\x00")
    + section(10, b"\\x01" + leb(len(add)) + add)
)

def wheel(name, tag, files):
    with zipfile.ZipFile(f"{name}-1.0-{tag}.whl", "w") as archive:
        for path, data in files.items(): archive.writestr(path, data)
        archive.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n")
        archive.writestr(f"{name}-1.0.dist-info/WHEEL", f"Wheel-Version: 1.0\\nTag: {tag}\\n")
        archive.writestr(f"{name}-1.0.dist-info/RECORD", "")

wheel("greeting", "py3-none-any", {"greeting/__init__.py": "def greet(name): return f'Hello, {name}'", "greeting/word.txt": "data"})
native = "import ctypes, pathlib\\n_library = ctypes.CDLL(str(pathlib.Path(__file__).parent / 'native.so'))\\nadd = _library.add"
wheel("adding", "cp314-cp314-pyemscripten_2026_0_wasm32", {"adding/__init__.py": native, "adding/native.so": module})
`

it("installs the wheels of a folder, native modules included, before the isolate is closed", async () => {
  await using maker = pythonSandbox({ spares: 0 })
  const made = await maker.run(makeWheels)
  expect(made.error).toBeUndefined()
  for (const { path, bytes } of made.artifacts) writeFileSync(join(folder, path), bytes)

  await using sandbox = pythonSandbox({ packages: { folder, imports: ["greeting"] }, spares: 0 })
  const run = async (code: string) => {
    const { result, error } = await sandbox.run(code)
    return result ?? error?.message
  }
  expect(await run("'greeting' in __import__('sys').modules")).toBe("True")
  expect(await run("import greeting; greeting.greet('Ada')")).toBe("'Hello, Ada'")
  expect(await run("import importlib.resources as r; r.read_text('greeting', 'word.txt')")).toBe("'data'")
  expect(await run("import importlib.metadata as m; m.version('adding')")).toBe("'1.0'")
  expect(await run("import adding; adding.add(40, 2)")).toBe("42")
  // A copy of the same module under another name is a new module: those are closed.
  const copy =
    "import shutil, ctypes, adding\nshutil.copy(adding.__path__[0] + '/native.so', 'copy.so')\nctypes.CDLL('/home/user/copy.so')"
  expect(await run(copy)).toContain("loading native modules is disabled")
})

it("refuses a wheel for another platform, and a folder without any", () => {
  const other = mkdtempSync(join(folder, "other-"))
  expect(() => pythonSandbox({ packages: { folder: other } })).toThrow(/holds no .whl file/)
  writeFileSync(join(other, "x-1.0-cp312-cp312-manylinux_2_28_x86_64.whl"), "")
  expect(() => pythonSandbox({ packages: { folder: other } })).toThrow(/built for another platform/)
})
