import { defineConfig } from "vitest/config"

// Soaks, sanitizers and long property runs. CI runs them after the fast suite.
export default defineConfig({
  test: {
    include: ["packages/*/test/**/*.slow.test.ts"],
    setupFiles: ["scripts/plain-environment.mjs"],
    pool: "forks",
    maxWorkers: 1,
    testTimeout: 2_400_000,
    hookTimeout: 1_200_000,
  },
})
