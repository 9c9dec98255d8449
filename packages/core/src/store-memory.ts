/** A store that lives as long as the process. Documents are copied in and out, as through a file. */
import { SessionError } from "./error.ts"
import type { Store } from "./store.ts"

/** A store in memory, for tests and for sessions that need not last. */
export function memoryStore(): Store {
  const documents = new Map<string, string>()
  const logs = new Map<string, string>()
  const locks = new Set<string>()
  return {
    async read(name) {
      const text = documents.get(name)
      return text === undefined ? undefined : JSON.parse(text)
    },
    async write(name, document) {
      documents.set(name, JSON.stringify(document))
    },
    async remove(name) {
      documents.delete(name)
      logs.delete(name)
    },
    async list() {
      return [...new Set([...documents.keys(), ...logs.keys()])].sort()
    },
    async log(name) {
      return {
        append: (lines) => void logs.set(name, (logs.get(name) ?? "") + lines),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }
    },
    async readLog(name) {
      return logs.get(name)
    },
    async lock(name) {
      if (locks.has(name)) throw lockedError(name)
      locks.add(name)
      return {
        async [Symbol.asyncDispose]() {
          locks.delete(name)
        },
      }
    },
    close: () => Promise.resolve(),
  }
}

export function lockedError(name: string): SessionError {
  return new SessionError({
    reason: "busy",
    detail: `The session ${JSON.stringify(name)} is in use by somebody else.`,
    fix: "Wait until it is released, or work on a session of another name.",
  })
}
