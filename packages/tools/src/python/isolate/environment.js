/**
 * The little of a JavaScript host that Pyodide needs (console, clock, timers, random, "JS shell" file reading), made of nothing but
 * the language. No function of the host is reachable from here: data comes in as arguments, goes out as return values and through
 * shared output buffers. Leaves `__chasqui.prepare`, which the host calls once.
 */

{
  const kit = globalThis.__chasqui

  /** The compiled interpreter, its standard library as bytes, 48 random bytes, and the size of the file system. */
  kit.prepare = (wasmModule, stdlib, seed, storageBytes, storageEntries) => {
    kit.withoutFinalizers()
    const silent = () => {}
    globalThis.console = { log: silent, warn: silent, error: silent, info: silent, debug: silent, trace: silent }
    const start = Date.now()
    globalThis.performance = { now: () => Date.now() - start, timeOrigin: start }
    kit.sleep = takeSleep()
    kit.random = kit.chacha20(new Uint32Array(seed))
    globalThis.crypto = {
      getRandomValues(view) {
        kit.random(new Uint8Array(view.buffer, view.byteOffset, view.byteLength))
        return view
      },
    }
    defineTimers()
    const marker = new ArrayBuffer(8) // stands for the interpreter's file, whose compiled form is here already
    defineShell(marker, stdlib)
    kit.seal = kit.guardWebAssembly(wasmModule, marker)
    kit.quota = kit.storageQuota(storageBytes, storageEntries)
  }

  /** Atomics.wait cannot be stopped by terminating the isolate: the public one goes, the private one waits at most 20 ms. */
  function takeSleep() {
    const wait = Atomics.wait
    const cell = new Int32Array(new SharedArrayBuffer(4))
    delete Atomics.wait
    delete Atomics.waitAsync
    return (ms) => {
      wait(cell, 0, 0, Math.max(0, Math.min(20, +ms || 0)))
    }
  }

  /** Timers that never fire: nothing inside may wait for the host's clock. */
  function defineTimers() {
    let last = 0
    globalThis.setTimeout = () => ++last
    globalThis.setInterval = globalThis.setTimeout
    globalThis.setImmediate = globalThis.setTimeout
    globalThis.clearTimeout = () => {}
    globalThis.clearInterval = globalThis.clearTimeout
    globalThis.AbortController = class {
      constructor() {
        this.signal = {}
      }
      abort() {}
    }
  }

  /**
   * With `read`, `readbuffer` and `load` present and `quit` absent, both of Pyodide's scripts take their "JS shell" path and look for
   * no process, require, fetch or document.
   */
  function defineShell(marker, stdlib) {
    const readFile = (path) => {
      const name = String(path).split("/").pop()
      if (name === "pyodide.asm.wasm") return marker
      if (name === "python_stdlib.zip") return stdlib
      throw new Error(`no file ${name}`)
    }
    globalThis.read = (path) => new TextDecoder().decode(new Uint8Array(readFile(path)))
    globalThis.readbuffer = readFile
    globalThis.load = () => {
      throw new Error("load is denied")
    }
    globalThis.quit = undefined
  }
}
