/** The files of the working folder as the outside sees them: put one, take one, list them, and which of them a call changed. */

{
  globalThis.__chasqui.workingFolder = (FS, home, { artifactBytes, artifactCount }) => {
    let before = new Map()
    return {
      put(path, bytes) {
        writeWhole(FS, `${home}/${path}`, new Uint8Array(bytes))
        before = listFiles(FS, home)
      },
      take(path) {
        const { mode, size } = FS.stat(`${home}/${path}`)
        return FS.isFile(mode) && size <= artifactBytes ? bytesOfFile(FS, `${home}/${path}`) : null
      },
      /** Files written or changed since `started`, as far as they fit. */
      changes(started) {
        const now = listFiles(FS, home)
        const files = []
        const contents = []
        let omitted = 0
        let room = artifactBytes
        for (const [path, { size, time, ino }] of now) {
          const old = before.get(path)
          if (old && old.size === size && old.time === time && old.ino === ino && time < started) continue
          if (size > room || files.length === artifactCount || path.length > 1024) {
            omitted++
            continue
          }
          room -= size
          files.push({ path, bytes: size })
          contents.push(bytesOfFile(FS, `${home}/${path}`))
        }
        before = now
        return { files, omitted, contents }
      },
    }
  }

  function writeWhole(FS, path, bytes) {
    FS.mkdirTree(path.slice(0, path.lastIndexOf("/")))
    FS.writeFile(path, bytes)
  }

  function bytesOfFile(FS, path) {
    return FS.readFile(path).slice().buffer
  }

  /** None for a folder that is gone: code may remove the working folder itself. */
  function namesIn(FS, path) {
    try {
      return FS.readdir(path)
    } catch (error) {
      if (error instanceof FS.ErrnoError) return []
      throw error
    }
  }

  /** Ordinary files below a folder: path → size, time, node. Links are not followed. */
  function listFiles(FS, home) {
    const found = new Map()
    const waiting = [""]
    while (waiting.length > 0) {
      const folder = waiting.pop()
      for (const name of namesIn(FS, `${home}/${folder}`)) {
        if (name === "." || name === "..") continue
        const path = `${folder}${name}`
        const { mode, size, mtime, ino } = FS.lstat(`${home}/${path}`)
        if (FS.isDir(mode)) waiting.push(`${path}/`)
        else if (FS.isFile(mode)) found.set(path, { size, time: mtime.getTime(), ino })
      }
    }
    return found
  }
}
