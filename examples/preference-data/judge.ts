/**
 * Which of two answers is the better one. A model on the engine is asked how likely it finds each (mean log-probability per token),
 * which even the smallest can say; a model behind a server is asked in words, twice with the order changed.
 */
import { agent, type LlamaModel, type Model } from "chasqui"

export async function better(judge: Model, prompt: string, first: string, second: string): Promise<string> {
  if ("engine" in judge) {
    const [a, b] = await Promise.all([first, second].map((text) => likelihood(judge as LlamaModel, prompt, text)))
    return (a ?? 0) >= (b ?? 0) ? first : second
  }
  const votes = [await vote(judge, prompt, first, second), await vote(judge, prompt, second, first)]
  return votes.filter((text) => text === first).length >= 1 ? first : second
}

async function likelihood({ tokenizer, engine }: LlamaModel, prompt: string, text: string): Promise<number> {
  const asked = tokenizer.encodeText(`${prompt}\n\n`)
  const answered = tokenizer.encodeText(text)
  const logprobs = await engine.score([...asked, ...answered])
  return logprobs.slice(asked.length).reduce((sum, value) => sum + value, 0) / Math.max(1, answered.length)
}

async function vote(model: Model, prompt: string, a: string, b: string): Promise<string> {
  const verdict = {
    type: "object",
    properties: { better: { enum: ["A", "B"] } },
    required: ["better"],
    additionalProperties: false,
  } as const
  await using bot = await agent({ model, sampling: { temperature: 0 }, system: "You judge answers fairly." })
  const question = `Which answer is more helpful, correct and honest?\n\nPrompt:\n${prompt}\n\nAnswer A:\n${a}\n\nAnswer B:\n${b}`
  return (await bot.run(question, { output: verdict })).output?.better === "B" ? b : a
}
