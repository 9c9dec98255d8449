/**
 * The input has been checked against chasqui.json and its defaults are filled in. The result is anything that JSON can carry.
 * To tell the model what went wrong, throw an error whose _tag is "ToolFailed"; it sees no other error's text.
 */
export async function greet({ person, times }, { config, signal }) {
  signal.throwIfAborted()
  if (person.toLowerCase() === "nobody")
    throw Object.assign(new Error("Nobody cannot be greeted"), { _tag: "ToolFailed" })
  return { greeting: Array(times).fill(`${config.greeting}, ${person}!`).join(" ") }
}
