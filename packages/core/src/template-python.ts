/**
 * Makes @huggingface/jinja 0.5 read chat templates as Python's jinja2 does. The library takes no filters from outside, so the
 * parsed template is rewritten: a filter that it lacks or that differs becomes a call of a function defined here, under a name
 * that no template can write. Rewritten: `reject` and `select` (lacking, "Unknown ArrayValue filter: reject"), `trim` (strips
 * other characters), `tojson` (writes 1e-7 for 1e-07), and printing (`true` for `True`, nothing for `None`).
 */
import type { Environment, Interpreter } from "@huggingface/jinja"
import { pythonJson, pythonString, pythonStrip } from "./prompt-json.ts"

export type Program = Parameters<Interpreter["run"]>[0]

/** A node of the library's syntax tree, whose classes it does not export. */
interface TreeNode {
  readonly type: string
  readonly [field: string]: unknown
}

/** A value of the running template, whose classes it does not export. */
interface RuntimeValue {
  readonly type: string
  readonly value: unknown
  __bool__(): { readonly value: boolean }
}
type RuntimeFunction = (args: readonly RuntimeValue[], scope: Environment) => RuntimeValue

const statements = new Set([
  "If",
  "For",
  "Break",
  "Continue",
  "Set",
  "Macro",
  "Comment",
  "CallStatement",
  "FilterStatement",
])
const functionName = (filter: string): string => `python ${filter}`
const filters = new Set(["reject", "select", "trim", "tojson"])

/** The same program with Python's filters and Python's way of printing. */
export function writeAsPython(program: Program): Program {
  return rewrite(program as unknown as TreeNode) as unknown as Program
}

function rewrite(node: TreeNode): TreeNode {
  const copy: Record<string, unknown> = {}
  for (const [field, value] of Object.entries(node)) {
    const printed = field === "body" || field === "alternate" || field === "defaultBlock"
    copy[field] = printed && Array.isArray(value) ? value.map((child) => print(rewrite(child))) : rewriteField(value)
  }
  const rewritten = Object.assign(Object.create(Object.getPrototypeOf(node)), copy) as TreeNode
  if (rewritten.type === "FilterExpression") return rewriteFilter(rewritten)
  if (rewritten.type === "BinaryExpression" && (rewritten.operator as { value?: string }).value === "~") {
    return Object.assign(rewritten, {
      left: print(rewritten.left as TreeNode),
      right: print(rewritten.right as TreeNode),
    })
  }
  return rewritten
}

function rewriteField(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(rewriteField)
  if (value instanceof Map) return new Map([...value].map(([key, item]) => [rewriteField(key), rewriteField(item)]))
  const isNode = typeof value === "object" && value !== null && typeof (value as TreeNode).type === "string"
  return isNode ? rewrite(value as TreeNode) : value
}

function rewriteFilter(node: TreeNode): TreeNode {
  const filter = node.filter as TreeNode
  const name = String(filter.type === "CallExpression" ? (filter.callee as TreeNode).value : filter.value)
  const args = filter.type === "CallExpression" ? (filter.args as readonly TreeNode[]) : []
  if (!filters.has(name)) return node
  // With other arguments than an indent the library's own is right.
  const named = args.map((arg) => (arg.type === "KeywordArgumentExpression" ? (arg.key as TreeNode).value : ""))
  if (name === "tojson" && named.some((key) => key !== "indent")) return node
  const values = args.map((arg) => (arg.type === "KeywordArgumentExpression" ? (arg.value as TreeNode) : arg))
  return call(functionName(name), [node.operand as TreeNode, ...values])
}

/** What stands between texts is printed: everything in a body that is no statement and no text of the template. */
function print(node: TreeNode): TreeNode {
  return statements.has(node.type) || node.type === "StringLiteral" ? node : call(functionName("str"), [node])
}

function call(name: string, args: readonly TreeNode[]): TreeNode {
  return { type: "CallExpression", callee: { type: "Identifier", value: name }, args }
}

/** Globals of a template, as `transformers` gives them, and the functions that `writeAsPython` calls. */
export function definePythonFunctions(environment: Environment, now: Date | undefined): void {
  for (const [name, value] of [
    ["true", true],
    ["false", false],
    ["none", null],
  ] as const) {
    environment.set(name, value)
    environment.set(name[0]!.toUpperCase() + name.slice(1), value)
  }
  environment.set("raise_exception", (message: unknown) => {
    throw new Error(String(message))
  })
  environment.set("range", boundedRange)
  if (now) environment.set("strftime_now", (format: string) => strftime(format, now))
  const text = textMaker(environment)
  define(environment, "str", ([value]) => printed(value!, text))
  define(environment, "trim", ([value]) => {
    if (value?.type !== "StringValue") throw new Error(`trim on a ${value?.type}`)
    return text(pythonStrip(String(value.value)))
  })
  define(environment, "tojson", ([value, indent]) =>
    text(pythonJson(plain(value!), typeof indent?.value === "number" ? { indent: indent.value } : {})),
  )
  define(environment, "select", (args, scope) => filtered(args, scope, "keep"))
  define(environment, "reject", (args, scope) => filtered(args, scope, "drop"))
}

/** The library wraps a function so that it sees plain values only; these need the template's own. */
function define(environment: Environment, name: string, body: RuntimeFunction): void {
  environment.set(functionName(name), () => "")
  Object.assign(environment.variables.get(functionName(name))!, { value: body })
}

/** The library's text class, from a text that it made itself. */
function textMaker(environment: Environment): (value: string) => RuntimeValue {
  environment.set(functionName("text"), "")
  const Text = environment.variables.get(functionName("text"))!.constructor as new (value: string) => RuntimeValue
  return (value) => new Text(value)
}

/** What Python's `str` makes of a scalar; lists and objects stay as the library prints them. */
function printed(value: RuntimeValue, text: (value: string) => RuntimeValue): RuntimeValue {
  const scalar = ["BooleanValue", "FloatValue", "IntegerValue", "NullValue"].includes(value.type)
  return scalar ? text(pythonString((value.value ?? null) as number | boolean | null)) : value
}

/** `select` and `reject`: by the named test, or by truth. */
function filtered(args: readonly RuntimeValue[], scope: Environment, holding: "keep" | "drop"): RuntimeValue {
  const [items, testName, ...rest] = args
  if (!Array.isArray(items?.value)) throw new Error(`select or reject on a ${items?.type}`)
  const tests = scope.tests as unknown as ReadonlyMap<string, (...values: RuntimeValue[]) => boolean>
  const test =
    testName === undefined ? (item: RuntimeValue) => item.__bool__().value : tests.get(String(testName.value))
  if (test === undefined) throw new Error(`Unknown test: ${testName?.value}`)
  const ListValue = items.constructor as new (values: readonly RuntimeValue[]) => RuntimeValue
  return new ListValue(items.value.filter((item: RuntimeValue) => test(item, ...rest) === (holding === "keep")))
}

/** A runtime value as plain JSON data. */
function plain(value: RuntimeValue): unknown {
  if (Array.isArray(value.value)) return value.value.map(plain)
  if (value.value instanceof Map) return Object.fromEntries([...value.value].map(([key, item]) => [key, plain(item)]))
  if (value.type === "NullValue") return null
  if (value.type === "UndefinedValue") throw new Error("tojson of an undefined value")
  return value.value
}

const MOST_NUMBERS = 100_000

/** `range` of Python, for as many numbers as a chat template can have a use for. */
function boundedRange(first: number, second?: number, step = 1): number[] {
  const [start, stop] = second === undefined ? [0, first] : [first, second]
  const count = Math.ceil((stop - start) / step)
  if (!(count <= MOST_NUMBERS)) throw new Error(`range of more than ${MOST_NUMBERS} numbers`)
  return Array.from({ length: Math.max(0, count) }, (_, index) => start + index * step)
}

const months = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
]
const days = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]

function strftime(format: string, now: Date): string {
  const two = (value: number): string => String(value).padStart(2, "0")
  const [month, day] = [months[now.getMonth()]!, days[now.getDay()]!]
  const fields: Readonly<Record<string, string>> = {
    d: two(now.getDate()),
    m: two(now.getMonth() + 1),
    b: month.slice(0, 3),
    B: month,
    a: day.slice(0, 3),
    A: day,
    y: two(now.getFullYear() % 100),
    Y: String(now.getFullYear()),
    H: two(now.getHours()),
    M: two(now.getMinutes()),
    S: two(now.getSeconds()),
    "%": "%",
  }
  return format.replace(/%(-?)([A-Za-z%])/g, (whole, minus, field) => {
    const text = fields[field] ?? whole
    return minus === "-" ? text.replace(/^0(?=\d)/, "") : text
  })
}
