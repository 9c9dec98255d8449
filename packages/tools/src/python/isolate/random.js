/** Random bytes without a call to the outside: the host gives 48 random bytes once, a stream cipher makes the rest. */

{
  /** ChaCha20 (RFC 8439) in counter mode, keyed once by the host: a fast generator without a call to the outside. */
  function chacha20(key) {
    const state = new Uint32Array(16)
    state.set([0x61707865, 0x3320646e, 0x79622d32, 0x6b206574])
    state.set(key, 4)
    const block = new Uint32Array(16)
    const blockBytes = new Uint8Array(block.buffer)
    let used = 64
    const rotate = (value, bits) => (value << bits) | (value >>> (32 - bits))
    const quarter = (a, b, c, d) => {
      block[a] += block[b]
      block[d] = rotate(block[d] ^ block[a], 16)
      block[c] += block[d]
      block[b] = rotate(block[b] ^ block[c], 12)
      block[a] += block[b]
      block[d] = rotate(block[d] ^ block[a], 8)
      block[c] += block[d]
      block[b] = rotate(block[b] ^ block[c], 7)
    }
    const refill = () => {
      block.set(state)
      for (let round = 0; round < 10; round++) {
        quarter(0, 4, 8, 12)
        quarter(1, 5, 9, 13)
        quarter(2, 6, 10, 14)
        quarter(3, 7, 11, 15)
        quarter(0, 5, 10, 15)
        quarter(1, 6, 11, 12)
        quarter(2, 7, 8, 13)
        quarter(3, 4, 9, 14)
      }
      for (let i = 0; i < 16; i++) block[i] += state[i]
      if (++state[12] === 0) state[13]++
      used = 0
    }
    return (bytes) => {
      for (let i = 0; i < bytes.length; ) {
        if (used === 64) refill()
        const take = Math.min(64 - used, bytes.length - i)
        bytes.set(blockBytes.subarray(used, used + take), i)
        used += take
        i += take
      }
    }
  }

  globalThis.__chasqui.chacha20 = chacha20
}
