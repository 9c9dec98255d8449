// What every library is given: a model that answers at once with one tool call per round (its arguments in five pieces) and then
// with a text (in three), and one trivial tool. `check` refuses a run that did not go through all of it.
export const args = '{"city":"Paris","unit":"celsius"}'
export const argPieces = ['{"city"', ':"Paris",', '"unit":', '"celsius"', "}"]
export const textPieces = ["It is ", "18 degrees", " in Paris."]
export const text = textPieces.join("")
export const toolResult = { temperature: 18, unit: "celsius" }
export const question = "What is the weather in Paris?"

// Where the CPU time is read in a long run: at 300 steps from step 10 on, and at the last 300: collections
// of garbage come every few hundred steps.
let marks = []
const readings = [0, 0, 0, 0]

/** How many times as much a step costs at the end of a long run as at its beginning, over all runs; undefined for short runs. */
export const growth = () => (marks.length === 0 ? undefined : (readings[3] - readings[2]) / (readings[1] - readings[0]))

export function scenario(rounds) {
  const counts = { steps: 0, tools: 0 }
  if (rounds >= 1000) marks = [10, 310, rounds - 300, rounds]
  return {
    /** Called by the model for each generation: true while it is to call the tool. */
    step: () => {
      const mark = rounds < 1000 ? -1 : marks.indexOf(counts.steps)
      if (mark !== -1) readings[mark] += cpuMicroseconds()
      return counts.steps++ < rounds
    },
    tool: () => {
      counts.tools++
      return toolResult
    },
    /** Throws when the run was not the whole one; ready for the next run afterwards. */
    check(answer) {
      const { steps, tools } = counts
      counts.steps = 0
      counts.tools = 0
      if (steps !== rounds + 1 || tools !== rounds || answer !== text) {
        throw new Error(`not the whole run: ${steps} steps, ${tools} tool calls, ${JSON.stringify(answer)}`)
      }
    },
  }
}

function cpuMicroseconds() {
  const { user, system } = process.cpuUsage()
  return user + system
}
