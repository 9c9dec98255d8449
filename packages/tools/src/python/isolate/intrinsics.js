/**
 * What the language itself brings along (Object, Array, Map, typed arrays, errors, …) is reachable from user code through any value that
 * crosses into Python. Here it is made unchangeable, so that the scripts beside this one can rely on it after user code has run, and
 * what would take memory past the isolate's limits is taken away.
 */

{
  const { defineProperty, freeze, getOwnPropertyDescriptor, getPrototypeOf, preventExtensions } = Object
  const { ownKeys } = Reflect
  const inherited = [Object.prototype, Function.prototype, Error.prototype]
  const asyncFunction = async () => {}
  const generator = function* () {}
  const asyncGenerator = async function* () {}
  /** Those that have no name among the globals. */
  const unnamed = [
    asyncFunction,
    generator,
    generator(),
    asyncGenerator,
    asyncGenerator(),
    [].values(),
    new Map().entries(),
    new Set().values(),
    ""[Symbol.iterator](),
    "".matchAll(/a/g),
  ]

  /**
   * Before Pyodide's scripts. Cleanup callbacks would run Python between calls, when no clock is watching; proxies that nobody holds stay
   * until the interpreter goes.
   */
  globalThis.__chasqui.withoutFinalizers = () => {
    globalThis.FinalizationRegistry = class {
      register() {}
      unregister() {}
    }
  }

  /** After boot, once the globals that user code must not have are deleted. `more` holds objects that no global leads to any more. */
  globalThis.__chasqui.freezeIntrinsics = (more) => {
    // Memory that grows in place is not seen by the isolate's limit.
    for (const name of ["resize", "transfer", "transferToFixedLength"]) delete ArrayBuffer.prototype[name]
    const found = new Set()
    const waiting = [globalThis, ...unnamed, ...more]
    while (waiting.length > 0) {
      const each = waiting.pop()
      if ((typeof each !== "object" && typeof each !== "function") || each === null || found.has(each)) continue
      found.add(each)
      waiting.push(getPrototypeOf(each))
      for (const key of ownKeys(each)) {
        const { value, get, set } = getOwnPropertyDescriptor(each, key)
        waiting.push(value, get, set)
      }
    }
    for (const prototype of inherited) keepAssignable(prototype)
    for (const each of found) if (each !== Error) freeze(each)
    freezeError()
  }

  /** All but `stackTraceLimit`, which Pyodide sets. What must not come in is a formatter of stack traces: it would be shown functions. */
  function freezeError() {
    for (const key of ownKeys(Error))
      if (key !== "stackTraceLimit") defineProperty(Error, key, { writable: false, configurable: false })
    preventExtensions(Error)
  }

  /**
   * In strict code, `error.name = "…"` fails where the prototype's `name` cannot be written. As an accessor it can: the value ends
   * up on the object that is assigned to, as it does before the freezing.
   */
  function keepAssignable(prototype) {
    for (const key of ownKeys(prototype)) {
      const { value, writable, configurable, enumerable } = getOwnPropertyDescriptor(prototype, key)
      if (!writable || !configurable) continue
      defineProperty(prototype, key, {
        get: () => value,
        set(own) {
          if (this === prototype) return
          defineProperty(this, key, { value: own, writable: true, enumerable: true, configurable: true })
        },
        enumerable,
        configurable: false,
      })
    }
  }
}
