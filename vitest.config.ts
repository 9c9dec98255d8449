import { defineConfig } from "vitest/config"

// Forks, not threads: isolated-vm aborts the process when it is loaded in a worker thread.
export default defineConfig({
  test: {
    include: ["packages/*/test/**/*.test.ts", "examples/**/*.test.ts"],
    exclude: ["**/*.slow.test.ts", "**/node_modules/**"],
    setupFiles: ["scripts/plain-environment.mjs"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
})
