/** The size of the file system in memory: how many bytes and entries user code may make. */
{
  const noSpace = 51 // errno ENOSPC in WASI's numbering

  /**
   * Growth is added up; at the limit everything that is reachable is counted anew, open files without a name included, so that
   * deleted files give their space back.
   */
  function storageQuota(limitBytes, limitEntries) {
    let most = { bytes: Number.POSITIVE_INFINITY, entries: Number.POSITIVE_INFINITY }
    let used = { bytes: 0, entries: 0 }
    const fits = (growth, entries) => used.bytes + growth <= most.bytes && used.entries + entries <= most.entries
    const quota = (FS, change, entries) => {
      const growth = Math.max(0, change)
      if (!fits(growth, entries)) used = countAll(FS)
      if (!fits(growth, entries)) throw new FS.ErrnoError(noSpace)
      used.bytes += growth
      used.entries += entries
    }
    /** Called after boot: what the system itself holds is not counted against the user. */
    quota.enforce = (FS) => {
      used = countAll(FS)
      most = { bytes: used.bytes + limitBytes, entries: used.entries + limitEntries }
    }
    return quota
  }

  function countAll(FS) {
    const seen = new Set()
    const waiting = [FS.root]
    for (const stream of FS.streams) if (stream?.node) waiting.push(stream.node)
    let bytes = 0
    while (waiting.length > 0) {
      const node = waiting.pop()
      if (seen.has(node)) continue
      seen.add(node)
      if (node.mounted?.root) waiting.push(node.mounted.root)
      if (FS.isFile(node.mode)) bytes += node.contents?.byteLength ?? 0
      else if (FS.isDir(node.mode))
        for (const name of Object.keys(node.contents ?? {}))
          if (node.contents[name]?.mode) waiting.push(node.contents[name])
    }
    return { bytes, entries: seen.size }
  }

  globalThis.__chasqui.storageQuota = storageQuota
}
