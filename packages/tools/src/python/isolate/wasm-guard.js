/** What WebAssembly may do in the isolate: everything while Pyodide boots, next to nothing afterwards. */

{
  const bytesOf = (view) =>
    ArrayBuffer.isView(view) ? new Uint8Array(view.buffer, view.byteOffset, view.byteLength) : new Uint8Array(view)

  /**
   * Gives Pyodide the module that the host compiled, in place of its file. After `seal()` no memory may be made, and no module
   * compiled but a trampoline of at most 4 KiB without a memory, a start function or a section that hides one.
   */
  function guardWebAssembly(main, mainMarker) {
    const { Module, Instance, Memory } = WebAssembly
    let sealed = false
    WebAssembly.Module = new Proxy(Module, {
      construct(target, [source]) {
        if (!sealed) return new target(source)
        const copy = bytesOf(source).slice(0, 4097) // the caller cannot change it between check and use
        if (!isTrampoline(copy)) throw new Error("loading native modules is disabled")
        return new target(copy)
      },
    })
    WebAssembly.Memory = new Proxy(Memory, {
      construct(target, parameters) {
        if (sealed) throw new Error("making memories is disabled")
        return new target(...parameters)
      },
    })
    WebAssembly.compile = async (source) => new WebAssembly.Module(source)
    WebAssembly.instantiate = async (source, imports) => {
      if (source instanceof Module) return new Instance(source, imports)
      const module = source?.buffer === mainMarker ? main : new WebAssembly.Module(source)
      return { module, instance: new Instance(module, imports) }
    }
    for (const name of ["instantiateStreaming", "compileStreaming", "promising", "Suspending"]) delete WebAssembly[name]
    // An instance leads to its constructor, past the ones above.
    const kinds = [
      Module,
      Instance,
      Memory,
      WebAssembly.Table,
      WebAssembly.Global,
      WebAssembly.Tag,
      WebAssembly.Exception,
    ]
    return () => {
      sealed = true
      for (const kind of kinds) Object.defineProperty(kind.prototype, "constructor", { value: undefined })
      return [...kinds, WebAssembly]
    }
  }

  function isTrampoline(bytes) {
    if (bytes.length > 4096) return false
    let at = 8
    const number = () => {
      let value = 0
      for (let shift = 0; shift < 35 && at < bytes.length; shift += 7) {
        const byte = bytes[at++]
        value |= (byte & 127) << shift
        if (byte < 128) break
      }
      return value >>> 0
    }
    const [customSection, memorySection, startSection] = [0, 5, 8]
    while (at < bytes.length) {
      const section = bytes[at++]
      if (section === customSection || section === memorySection || section === startSection) return false
      at += number()
    }
    return true
  }

  globalThis.__chasqui.guardWebAssembly = guardWebAssembly
}
