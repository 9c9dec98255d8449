// Runs cases through agents that share one model and one Python sandbox: what was called, what was answered, and whether that is right.
import { isDeepStrictEqual } from "node:util"
import { agent, braveSearch, codeInterpreter, defineTool, llama, localMaths, wolframAlpha } from "chasqui"
import { pythonSandbox } from "../packages/tools/dist/index.js"

/** A wrong model may go on and on; a right episode needs four steps. */
const limits = { maxSteps: 6, maxTokens: 600 }

/** The outcome of each case, in order. */
export async function* episodes(cases, folder) {
  const model = await llama(folder)()
  const sandbox = pythonSandbox()
  try {
    for (const one of cases) yield await episode(one, model, sandbox)
  } finally {
    await sandbox.close()
    await model.close()
  }
}

async function episode(one, model, sandbox) {
  const calls = []
  await using bot = await agent({
    ...limits,
    model,
    sessionId: one.id,
    tools: toolsOf(one, sandbox),
    sampling: { temperature: 0 },
    prompt: {
      ...(one.date !== undefined && { date: one.date }),
      ...(one.tools_in_user_message !== undefined && { toolsInUserMessage: one.tools_in_user_message }),
    },
    ...(one.system !== undefined && { system: one.system }),
  })
  const running = bot.stream(one.question)
  for await (const event of running) {
    if (event.type === "tool-call-end") calls.push({ name: event.call.name, arguments: event.call.input })
    if (event.type === "tool-call-invalid") calls.push({ name: event.name, arguments: event.raw })
  }
  const { text, stopReason } = await running.result
  return {
    id: one.id,
    question: one.question,
    callsRight: one.expectCalls === undefined || sameCalls(calls, one.expectCalls),
    answerRight: stopReason === "end-of-turn" && (one.expectAnswer ?? []).every((part) => text.includes(part)),
    calls,
    answer: text,
    stopReason,
    expectCalls: one.expectCalls,
    expectAnswer: one.expectAnswer,
  }
}

const sameCalls = (calls, expected) =>
  calls.length === expected.length &&
  expected.every(
    ({ name, arguments: input }, at) =>
      calls[at].name === name && (input === undefined || isDeepStrictEqual(calls[at].arguments, input)),
  )

/** Built-in tools in the order of the case, scripted where it gives results for them; then its custom functions. */
function toolsOf({ builtin_tools: builtins = [], documents = {}, tools = [] }, sandbox) {
  const named = new Map(tools.map((tool) => [schemaOf(tool).name, tool]))
  const real = {
    brave_search: () => braveSearch({ documents }),
    wolfram_alpha: () => wolframAlpha({ provider: localMaths() }),
    code_interpreter: () => codeInterpreter({ sandbox }),
  }
  const builtinTools = builtins.map((name) => (named.has(name) ? scripted(named.get(name), true) : real[name]()))
  const custom = tools.filter((tool) => !builtins.includes(schemaOf(tool).name)).map((tool) => scripted(tool, false))
  return [...builtinTools, ...custom]
}

const schemaOf = ({ schema }) => schema.function ?? schema

/** A tool that answers from the case: the result for exactly these arguments, else the one result, else an error. */
function scripted({ schema, result, results = [] }, builtin) {
  const { name, description = "", parameters } = schema.function ?? schema
  const unknown = { error: "no result for these arguments" }
  return defineTool(name, {
    description,
    builtin,
    input: parameters,
    execute: (input) => {
      const entry = results.find(({ arguments: expected }) => isDeepStrictEqual(expected, input))
      return entry?.result ?? result ?? unknown
    },
  })
}
