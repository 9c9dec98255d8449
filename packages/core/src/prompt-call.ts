/** Chooses the renderer of a call's syntax. */
import { PromptError } from "./error.ts"
import { pythonJson } from "./prompt-json.ts"
import type { Dialect, PromptPart } from "./prompt-part.ts"
import { specialTokens } from "./special-tokens.ts"
import type { ToolCall } from "./turn.ts"

export function renderCall(call: ToolCall, dialect: Dialect): readonly PromptPart[] {
  const tag = { special: specialTokens.pythonTag }
  switch (call.syntax) {
    case "builtin-call": {
      const inputs = Object.entries(call.input).map(
        ([key, value]) => `${key}="${typeof value === "string" ? value : pythonJson(value)}"`,
      )
      const text = { text: `${call.name}.call(${inputs.join(", ")})` }
      return dialect === "meta" ? [text] : [tag, text]
    }
    case "python-code":
      return [tag, { text: String(call.input.code ?? "") }]
    case "json-call":
      return dialect === "meta"
        ? [
            {
              text: `{"type": "function", "name": "${call.name}", "parameters": ${pythonJson(call.input, { nonAscii: "escaped" })}}`,
            },
          ]
        : [{ text: `{"name": "${call.name}", "parameters": ${pythonJson(call.input)}}` }]
    case "function-tag":
      return [{ text: `<function=${call.name}>${pythonJson(call.input)}</function>` }]
    default:
      throw new PromptError({
        reason: "bad-turn",
        detail: `No renderer for ${call.syntax}.`,
        fix: "Use another syntax.",
      })
  }
}
