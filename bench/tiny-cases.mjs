// Reads evaluation cases, JSON lines; says which line is wrong and why. Knows nothing of models.
import { readFile } from "node:fs/promises"

export class CasesError extends Error {}

const kinds = {
  id: (value) => typeof value === "string" && value !== "",
  question: (value) => typeof value === "string" && value !== "",
  system: (value) => typeof value === "string",
  builtin_tools: (value) => Array.isArray(value) && value.every((name) => builtins.includes(name)),
  documents: (value) => isObject(value) && Object.values(value).every((text) => typeof text === "string"),
  tools: (value) => Array.isArray(value) && value.every(isTool),
  tools_in_user_message: (value) => typeof value === "boolean",
  date: (value) => typeof value === "string",
  expectCalls: (value) =>
    Array.isArray(value) && value.every((call) => isObject(call) && typeof call.name === "string"),
  expectAnswer: (value) => Array.isArray(value) && value.every((part) => typeof part === "string"),
}
const required = ["id", "question"]
const builtins = ["brave_search", "wolfram_alpha", "code_interpreter"]

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value)
const isTool = (tool) =>
  isObject(tool) && isObject(tool.schema) && typeof (tool.schema.function ?? tool.schema).name === "string"

/** The cases of a file. Throws CasesError with the line and what it should hold. */
export async function readCases(file) {
  const text = await readFile(file, "utf8").catch((error) => {
    throw new CasesError(`The file ${String(file)} cannot be read: ${error.message}`)
  })
  const cases = text.split("\n").flatMap((line, index) => (line.trim() === "" ? [] : [readCase(line, index + 1)]))
  if (cases.length === 0) throw new CasesError(`The file ${String(file)} holds no case.`)
  return cases
}

function readCase(line, number) {
  let value
  try {
    value = JSON.parse(line)
  } catch (error) {
    throw new CasesError(`Line ${number} is no JSON: ${error.message}`)
  }
  if (!isObject(value)) throw new CasesError(`Line ${number} is no JSON object.`)
  for (const key of required) {
    if (!(key in value)) throw new CasesError(`Line ${number} lacks "${key}".`)
  }
  for (const [key, entry] of Object.entries(value)) {
    if (!(key in kinds))
      throw new CasesError(`Line ${number} has the unknown key "${key}"; known: ${Object.keys(kinds).join(", ")}.`)
    if (!kinds[key](entry))
      throw new CasesError(`Line ${number} has a wrong "${key}": ${JSON.stringify(entry).slice(0, 120)}`)
  }
  return value
}
