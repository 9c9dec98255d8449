/**
 * The calls of a turn as bodies of messages, each in the syntax that it carries. The layouts take one call per message; only
 * a pythonic list is one body for all its calls, as its models write it.
 */
import type { Dialect, PromptPart } from "./prompt-part.ts"
import { renderBuiltinCall } from "./syntax/builtin-call.ts"
import { renderFunctionTag } from "./syntax/function-tag.ts"
import { renderJsonCall } from "./syntax/json-call.ts"
import { renderPythonCode } from "./syntax/python-code.ts"
import { renderPythonicCalls } from "./syntax/pythonic-call.ts"
import type { ToolCall } from "./turn.ts"

/** One list of parts per message; throws PromptError for input that JSON cannot carry. */
export function renderCalls(calls: readonly ToolCall[], dialect: Dialect): readonly (readonly PromptPart[])[] {
  const isList = calls.length > 0 && calls.every((call) => call.syntax === "pythonic-call")
  return isList ? [renderPythonicCalls(calls)] : calls.map((call) => renderCall(call, dialect))
}

function renderCall(call: ToolCall, dialect: Dialect): readonly PromptPart[] {
  switch (call.syntax) {
    case "builtin-call":
      return renderBuiltinCall(call, dialect)
    case "function-tag":
      return renderFunctionTag(call)
    case "pythonic-call":
      return renderPythonicCalls([call])
    case "python-code":
      // Bare code has room for nothing but the code; an input that has more is written where it fits.
      return isOnlyCode(call) ? renderPythonCode(call) : renderJsonCall(call, dialect)
    default:
      return renderJsonCall(call, dialect)
  }
}

function isOnlyCode({ input }: ToolCall): boolean {
  return typeof input.code === "string" && Object.keys(input).length === 1
}
