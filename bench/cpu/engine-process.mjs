// A process with one engine (worker.mjs), asked one thing at a time.
import { fork } from "node:child_process"
import { fileURLToPath } from "node:url"

export class EngineProcess {
  #child = fork(fileURLToPath(new URL("worker.mjs", import.meta.url)), {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  })

  ask(message) {
    return new Promise((resolve, reject) => {
      const exited = (code) => reject(new Error(`the process of an engine ended with code ${code}`))
      this.#child.once("exit", exited)
      this.#child.once("message", (answer) => {
        this.#child.off("exit", exited)
        if (answer.failed !== undefined) reject(new Error(answer.failed))
        else resolve(answer)
      })
      this.#child.send(message)
    })
  }

  close() {
    this.#child.kill("SIGKILL") // node-llama-cpp takes long to let go
  }
}
