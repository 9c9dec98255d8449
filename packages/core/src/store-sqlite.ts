/** A store in one SQLite file, through Node's own module: documents, logs and locks as tables, crash-safe by its journal. */
import { createRequire } from "node:module"
import type { DatabaseSync } from "node:sqlite"
import { SessionError } from "./error.ts"
import type { Store } from "./store.ts"
import { lockedError } from "./store-memory.ts"
import { isAlive, thisProcess } from "./store-owner.ts"

/** Opens or makes the file; `:memory:` keeps it in memory. Throws SessionError for a file that is no SQLite database. */
export function sqliteStore(file: string): Store {
  // Loaded when it is used: importing core must not load a database.
  const sqlite: typeof import("node:sqlite") = createRequire(import.meta.url)("node:sqlite")
  const database = opened(file, sqlite)
  const read = database.prepare("SELECT text FROM documents WHERE name = ?")
  const write = database.prepare(
    "INSERT INTO documents VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET text = excluded.text",
  )
  const remove = database.prepare("DELETE FROM documents WHERE name = ?")
  const removeLog = database.prepare("DELETE FROM log_lines WHERE name = ?")
  const names = database.prepare("SELECT name FROM documents UNION SELECT name FROM log_lines ORDER BY name")
  const append = database.prepare("INSERT INTO log_lines (name, lines) VALUES (?, ?)")
  const lines = database.prepare("SELECT lines FROM log_lines WHERE name = ? ORDER BY position")
  const holder = database.prepare("SELECT owner FROM lock_owners WHERE name = ?")
  const hold = database.prepare(
    "INSERT INTO lock_owners VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET owner = excluded.owner",
  )
  const release = database.prepare("DELETE FROM lock_owners WHERE name = ? AND owner = ?")
  return {
    async read(name) {
      const row = read.get(name)
      return row === undefined ? undefined : JSON.parse(String(row.text))
    },
    async write(name, document) {
      write.run(name, JSON.stringify(document))
    },
    async remove(name) {
      remove.run(name)
      removeLog.run(name)
    },
    async list() {
      return names.all().map(({ name }) => String(name))
    },
    async log(name) {
      return { append: (text) => void append.run(name, text), [Symbol.asyncDispose]: () => Promise.resolve() }
    },
    async readLog(name) {
      const rows = lines.all(name)
      return rows.length === 0 ? undefined : rows.map((row) => row.lines).join("")
    },
    async lock(name) {
      database.exec("BEGIN IMMEDIATE")
      try {
        const owner = holder.get(name)?.owner
        if (owner !== undefined && isAlive(String(owner))) throw lockedError(name)
        hold.run(name, thisProcess())
        database.exec("COMMIT")
      } catch (error) {
        database.exec("ROLLBACK")
        throw error
      }
      return {
        async [Symbol.asyncDispose]() {
          if (database.isOpen) release.run(name, thisProcess())
        },
      }
    },
    async close() {
      if (database.isOpen) database.close()
    },
  }
}

function opened(file: string, { DatabaseSync }: typeof import("node:sqlite")): DatabaseSync {
  try {
    const database = new DatabaseSync(file)
    database.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = NORMAL;
      PRAGMA busy_timeout = 5000;
      CREATE TABLE IF NOT EXISTS documents (name TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT;
      CREATE TABLE IF NOT EXISTS log_lines (position INTEGER PRIMARY KEY, name TEXT NOT NULL, lines TEXT NOT NULL) STRICT;
      CREATE INDEX IF NOT EXISTS log_lines_by_name ON log_lines (name, position);
      CREATE TABLE IF NOT EXISTS lock_owners (name TEXT PRIMARY KEY, owner TEXT NOT NULL) STRICT;
    `)
    return database
  } catch (cause) {
    throw new SessionError({
      reason: "malformed",
      detail: `The file ${file} cannot be opened as an SQLite database (${(cause as Error).message}).`,
      fix: "Give the path of a database that this store made, or of a file that does not exist yet.",
      cause,
    })
  }
}
