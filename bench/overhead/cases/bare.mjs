// The floor: the loop that one would write by hand.
import { argPieces, args, question, scenario, text, textPieces } from "../scenario.mjs"

export async function setup(rounds, mode) {
  const run = scenario(rounds)
  const generate = async () => (run.step() ? { call: { name: "get_weather", args } } : { text })
  async function* stream() {
    if (run.step()) for (const delta of argPieces) yield { args: delta }
    else for (const delta of textPieces) yield { text: delta }
  }
  return async () => {
    const messages = [{ role: "user", content: question }]
    while (true) {
      let call = ""
      let answer = ""
      if (mode === "generate") {
        const reply = await generate()
        call = reply.call?.args ?? ""
        answer = reply.text ?? ""
      } else {
        for await (const piece of stream()) {
          call += piece.args ?? ""
          answer += piece.text ?? ""
        }
      }
      if (call === "") {
        run.check(answer)
        return messages
      }
      const input = JSON.parse(call)
      if (typeof input.city !== "string") throw new Error("bad input")
      messages.push({ role: "assistant", call }, { role: "tool", content: JSON.stringify(await run.tool(input)) })
    }
  }
}
