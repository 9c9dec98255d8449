/**
 * JSON and scalar text exactly as Python writes them, since the chat templates were written for Python:
 * `json.dumps(value, ensure_ascii=False)` for `tojson`, `str(value)` for what a template prints bare.
 * A value comes in, text goes out. Values that JSON cannot carry are refused.
 *
 * One deviation: JavaScript has one number type, so a Python float with an integral value (`4.0`) is written as `4`.
 */
import { PromptError } from "./error.ts"

/** Deeper nesting than this is refused; Python's own encoder gives up near 1,000. */
const MAX_DEPTH = 512

export interface PythonJsonOptions {
  /** Spaces per level, each item on its own line; absent: one line with `", "` and `": "`. */
  readonly indent?: number
  /** `escaped`: `ensure_ascii=True`, everything outside ASCII as `\uXXXX`. Default `verbatim`. */
  readonly nonAscii?: "verbatim" | "escaped"
}

/** `json.dumps(value, ensure_ascii=False)`. Throws PromptError `circular-value`, `too-large` (depth) or `bad-turn`. */
export function pythonJson(value: unknown, options: PythonJsonOptions = {}): string {
  const quote = options.nonAscii === "escaped" ? quoteAscii : JSON.stringify
  const { indent } = options
  const open = new Set<object>()

  const enclose = (left: string, items: readonly string[], right: string, depth: number): string => {
    if (items.length === 0) return left + right
    if (indent === undefined) return `${left}${items.join(", ")}${right}`
    const outer = `\n${" ".repeat(indent * depth)}`
    const inner = `${outer}${" ".repeat(indent)}`
    return `${left}${inner}${items.join(`,${inner}`)}${outer}${right}`
  }

  const write = (item: unknown, depth: number): string => {
    if (typeof item === "string") return quote(item)
    if (typeof item === "number") return pythonNumber(item)
    if (typeof item === "boolean") return String(item)
    if (item === null) return "null"
    if (typeof item !== "object" || !isPlain(item)) throw notJson(item)
    if (open.has(item)) {
      throw new PromptError({
        reason: "circular-value",
        detail: "A value of the prompt contains itself.",
        fix: "Pass plain JSON data without cycles.",
      })
    }
    if (depth >= MAX_DEPTH) {
      throw new PromptError({
        reason: "too-large",
        detail: `A value of the prompt is nested more than ${MAX_DEPTH} levels deep.`,
        fix: "Flatten the value.",
      })
    }
    open.add(item)
    const text = Array.isArray(item)
      ? enclose(
          "[",
          Array.from(item, (element) => write(element, depth + 1)),
          "]",
          depth,
        )
      : enclose("{", writeMembers(item, depth), "}", depth)
    open.delete(item)
    return text
  }
  const writeMembers = (item: object, depth: number): string[] =>
    Object.entries(item)
      .filter(([, member]) => member !== undefined)
      .map(([key, member]) => `${quote(key)}: ${write(member, depth + 1)}`)

  return write(value, 0)
}

/** `str(value)` of Python for a JSON scalar: `True`, `None`, `1e-05`. */
export function pythonString(value: string | number | boolean | null): string {
  if (typeof value === "string") return value
  if (typeof value === "number") return pythonNumber(value)
  if (typeof value === "boolean") return value ? "True" : "False"
  if (value === null) return "None"
  throw notJson(value)
}

/**
 * `repr` of Python: the shortest digits that read back, in exponent form below 1e-4 and, as in JavaScript, with at least
 * two exponent digits. Integral values are written as integers.
 */
export function pythonNumber(value: number): string {
  if (!Number.isFinite(value)) throw notJson(value)
  if (Number.isInteger(value)) return Object.is(value, -0) ? "0" : String(value)
  const text = Math.abs(value) < 1e-4 ? value.toExponential() : String(value)
  return text.replace(/e([+-])(\d)$/, "e$10$2")
}

const pythonSpace = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"
const space = new RegExp(`[${pythonSpace}]`)

/** `str.strip()` of Python. JavaScript's `trim` also removes U+FEFF, and keeps U+0085 and U+001C to U+001F. */
export function pythonStrip(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && space.test(text[start]!)) start++
  while (end > start && space.test(text[end - 1]!)) end--
  return text.slice(start, end)
}

function quoteAscii(text: string): string {
  return JSON.stringify(text).replace(/[\u007f-\uffff]/g, (unit) =>
    unit === "\u007f" ? unit : `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  )
}

/** A Date, a Map or a Set has no members of its own to write: it would silently become `{}`. */
function isPlain(value: object): boolean {
  return Array.isArray(value) || Object.prototype.toString.call(value) === "[object Object]"
}

function notJson(value: unknown): PromptError {
  const kind = typeof value === "object" ? Object.prototype.toString.call(value).slice(8, -1) : typeof value
  return new PromptError({
    reason: "bad-turn",
    detail: `A value of the prompt is ${typeof value === "number" ? value : `a ${kind}`}, which JSON cannot carry.`,
    fix: "Pass null, booleans, finite numbers, strings, arrays and plain objects.",
  })
}
