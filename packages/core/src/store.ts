/**
 * Where sessions and traces are kept between runs: named JSON documents and named logs of lines. In memory here; folders
 * and SQLite behind the same four verbs. A store knows nothing of what the documents mean.
 */
import type { JsonValue } from "./turn.ts"

/** Keeps named documents and logs. */
export interface Store {
  /** The document of that name; undefined where there is none. Throws SessionError for one that cannot be read. */
  read(name: string): Promise<JsonValue | undefined>
  /** Replaces the document as a whole: a reader sees the old one or the new one, also after a crash. */
  write(name: string, document: JsonValue): Promise<void>
  remove(name: string): Promise<void>
  /** The names of all documents and logs, sorted. */
  list(): Promise<readonly string[]>
  /** Opens a log to add lines to it, and cuts off a last line that a crash left unfinished. Appended lines survive the process. */
  log(name: string): Promise<StoreLog>
  /** The text of a log; undefined where there is none. */
  readLog(name: string): Promise<string | undefined>
  /** Holds the name for this owner until released. Throws SessionError `busy` while somebody else holds it. */
  lock(name: string): Promise<AsyncDisposable>
  close(): Promise<void>
}

/** A log that is open for more lines; disposing of it writes what is buffered. */
export interface StoreLog extends AsyncDisposable {
  /** Adds text that ends with a line feed. In order; it may be buffered until the next turn of the event loop. */
  append(lines: string): void
}
