/**
 * Runs after Pyodide's scripts: boots the interpreter (cold, or from a memory snapshot), takes away what user code does not need, and
 * gives the outside its three methods: execute code, put a file, take a file. What these return comes from a place where user code
 * ran: the outside checks all of it.
 */

{
  const kit = globalThis.__chasqui
  const { stringify } = JSON
  const { get: byteLength } = Object.getOwnPropertyDescriptor(ArrayBuffer.prototype, "byteLength")
  const silent = () => {}

  /** Gives the methods; or, with `want` "snapshot", the memory image of an interpreter that has run nothing but the preload. */
  kit.boot = async (setup, want, snapshot, wheels, stdout, stderr, interrupt) => {
    const py = await loadInterpreter(setup, want, snapshot)
    if (snapshot === undefined) {
      runApart(py, setup.runner)
      runApart(py, setup.preload)
    }
    if (want === "snapshot") return py.makeMemorySnapshot().slice().buffer

    const streams = [outputBuffer(stdout), outputBuffer(stderr)]
    py.setStdout(streams[0].handler)
    py.setStderr(streams[1].handler)
    py.setInterruptBuffer(new Int32Array(interrupt))
    const runner = py.pyimport("_chasqui")
    if (wheels.length > 0) installWheels(py, runner, wheels, setup.imports)

    const fields = new Map()
    const report = (name, text) => {
      if (typeof name !== "string" || typeof text !== "string" || name.length > 20) return
      fields.set(name, text.slice(0, setup.resultCharacters + 1))
    }
    const { attach, run } = runner
    attach(kit.sleep, report)
    kit.quota.enforce(py.FS)
    const folder = kit.workingFolder(py.FS, setup.home, setup)
    harden(kit.seal, kit.freezeIntrinsics)
    return {
      execute(code) {
        for (const stream of streams) stream.reset()
        fields.clear()
        const started = Date.now()
        try {
          run(code, setup.resultCharacters)
        } catch (problem) {
          reportEscaped(report, problem)
        }
        return answerOf(fields, folder.changes(started), setup)
      },
      put: folder.put,
      take: folder.take,
    }
  }

  function loadInterpreter(setup, want, snapshot) {
    return globalThis.__loadPyodide({
      indexURL: "/",
      lockFileContents: JSON.parse(setup.lock),
      createPyodideModule: globalThis._createPyodideModule,
      jsglobals: Object.create(null),
      stdin: () => null,
      stdout: silent,
      stderr: silent,
      env: { HOME: setup.home, TZ: "UTC" },
      args: [],
      _makeSnapshot: want === "snapshot",
      _loadSnapshot: snapshot && new Uint8Array(snapshot),
    })
  }

  /** Runs Python in a namespace of its own, which user code never sees. */
  function runApart(py, program) {
    py.runPython(program, { globals: py.toPy({}) })
  }

  /** Shared with the outside: Int32 length, Int32 "was cut", then UTF-8 bytes. Only this closure keeps the length. */
  function outputBuffer(shared) {
    const head = new Int32Array(shared, 0, 2)
    const body = new Uint8Array(shared, 8)
    let length = 0
    const write = (bytes) => {
      const fits = Math.min(bytes.length, body.length - length)
      body.set(bytes.subarray(0, fits), length)
      length += fits
      head[0] = length
      if (fits < bytes.length) head[1] = 1
      return bytes.length
    }
    const reset = () => {
      length = 0
      head[0] = 0
      head[1] = 0
    }
    return { handler: { write, isatty: false }, reset }
  }

  function installWheels(py, runner, wheels, imports) {
    const paths = wheels.map(([name, bytes]) => {
      py.FS.writeFile(`/tmp/${name}`, bytes)
      return `/tmp/${name}`
    })
    runner.install(py.toPy(paths), py.toPy(imports))
  }

  /**
   * What comes out of the runner itself. An interrupt (user code had put another handler in place of the runner's) has left everything
   * as it was; anything else ends the interpreter, and says why in few words, however long its own are.
   */
  function reportEscaped(report, problem) {
    if (problem?.type !== "KeyboardInterrupt") {
      const text = String(problem?.message ?? problem)
      // A Python exception brings its traceback, whose last line says what it is.
      throw new Error(problem?.type === undefined ? text.slice(0, 300) : text.slice(-300).trimEnd().split("\n").pop())
    }
    for (const name of ["error", "kind", "traceback"]) report(name, "KeyboardInterrupt")
  }

  /** A text and the files' contents. Measured before anything is copied to the outside, whose memory is everyone's. */
  function answerOf(fields, { files, omitted, contents }, { artifactBytes, artifactCount, resultCharacters }) {
    const text = (name) => fields.get(name) ?? null
    const [error, kind, traceback] = ["error", "kind", "traceback"].map(text)
    const result = error === null ? text("result") : null
    const answer = stringify({ result, error, kind, traceback, files, omitted })
    const bytes = contents.reduce((sum, each) => sum + byteLength.call(each), 0)
    // JSON writes a character as six at most.
    const fits = answer.length <= 6 * (4 * resultCharacters + 1100 * artifactCount) + 4096
    if (fits && bytes <= artifactBytes && contents.length <= artifactCount) return [answer, ...contents]
    throw new Error("the interpreter answered in no known form")
  }

  /** Removes run-time code generation and everything that only booting needed. */
  function harden(seal, freezeIntrinsics) {
    const wasm = seal()
    const deny = () => {
      throw new EvalError("code generation is disabled")
    }
    const kinds = [() => {}, async () => {}, function* () {}, async function* () {}]
    for (const each of kinds)
      Object.defineProperty(Object.getPrototypeOf(each), "constructor", {
        value: deny,
        writable: false,
        configurable: false,
      })
    const shell = ["__chasqui", "__loadPyodide", "_createPyodideModule", "read", "readbuffer", "load", "quit"]
    const powers = ["eval", "Function", "WebAssembly", "SharedArrayBuffer", "Atomics"]
    for (const name of [...shell, ...powers]) delete globalThis[name]
    freezeIntrinsics(wasm)
  }
}
