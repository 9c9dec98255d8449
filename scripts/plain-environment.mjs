// Runs before each test file: what the caller's environment may hold that would change what tests see.
const foreign =
  /^(FORCE_COLOR|NO_COLOR|(https?|all)_proxy|NODE_USE_ENV_PROXY|HF_\w+|\w+_API_KEY|CHASQUI_(DEBUG|MCP_TOKEN))$/i
for (const name of Object.keys(process.env)) if (foreign.test(name)) delete process.env[name]
process.env.NO_COLOR = "1"
