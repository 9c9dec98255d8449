/** What `@chasqui/tools` offers. Adding a name here is a decision about the public interface. */
export { ToolSetupError } from "./error.ts"
export { type LocalMathsOptions, localMaths } from "./maths/local-maths.ts"
export type { MathsProvider, Pod } from "./maths/maths-provider.ts"
export { type WolframAlphaOptions, wolframAlpha } from "./maths/wolfram-alpha.ts"
export { type BraveSearchOptions, braveSearch } from "./search/brave-search.ts"
export { type DocumentSource, localDocuments, sampleDocuments } from "./search/local-documents.ts"
export type { SearchProvider, SearchResult } from "./search/search-provider.ts"
