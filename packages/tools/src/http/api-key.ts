/** Where a key comes from: the options or the environment; never a file, and never a message. */
import { ToolSetupError } from "../error.ts"

/** Throws ToolSetupError when neither holds one, or when it could not be sent in a header. */
export function apiKey(tool: string, given: string | undefined, variable: string): string {
  const key = given ?? process.env[variable]
  if (key === undefined || key === "") {
    throw new ToolSetupError({
      reason: "missing-key",
      detail: `${tool} has no key.`,
      fix: `Pass apiKey or set ${variable}, or choose a provider that works without one.`,
    })
  }
  if (/^[\x21-\x7e]{1,512}$/.test(key)) return key
  throw new ToolSetupError({
    reason: "missing-key",
    detail: `The key of ${tool} holds characters that no key has.`,
    fix: "Look for a line break or a space at its ends.",
  })
}
