/** A file that sandboxed code wrote: its path in the working folder, its bytes, and its media type told from its name. */
export interface Artifact {
  /** Relative to the working folder; safe to join below a folder. */
  readonly path: string
  readonly type: string
  readonly bytes: Uint8Array
}

const types = new Map(
  Object.entries({
    bmp: "image/bmp",
    csv: "text/csv",
    gif: "image/gif",
    gz: "application/gzip",
    html: "text/html",
    jpeg: "image/jpeg",
    jpg: "image/jpeg",
    json: "application/json",
    md: "text/markdown",
    npy: "application/octet-stream",
    pdf: "application/pdf",
    png: "image/png",
    py: "text/x-python",
    svg: "image/svg+xml",
    tar: "application/x-tar",
    tsv: "text/tab-separated-values",
    txt: "text/plain",
    wav: "audio/wav",
    webp: "image/webp",
    xml: "application/xml",
    zip: "application/zip",
  }),
)

/** The type is told from the name alone: the bytes are untrusted, and nothing may depend on what they claim to be. */
export function artifactOf(path: string, bytes: Uint8Array): Artifact {
  const extension = /\.([A-Za-z0-9]+)$/.exec(path)?.[1]?.toLowerCase() ?? ""
  return { path, type: types.get(extension) ?? "application/octet-stream", bytes }
}
