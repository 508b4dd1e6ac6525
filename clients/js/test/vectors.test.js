// The test vectors that all clients share.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { EssError, GapDetector, verify } from '../src/index.js'

const vectors = JSON.parse(readFileSync(new URL('../../vectors.json', import.meta.url), 'utf8'))

const SAYS = {
  header: /is missing/,
  timestamp: /away from this clock/,
  signature: /signature does not fit/,
  secret: /secret is (missing|damaged)/,
  body: /no JSON/,
  jwks: /the JWKS has (no|a damaged) Ed25519 key/
}

for (const { name, secrets = [], jwks, headers, body, now, tolerance, error } of [...vectors.signatures, ...vectors.public_key_signatures])
  test(`signature: ${name}`, () => {
    const keys = jwks ? [...secrets, jwks] : secrets
    const call = () => verify(Buffer.from(body), headers, keys, { now: now * 1000, toleranceS: tolerance })
    if (error) assert.throws(call, (e) => e instanceof EssError && SAYS[error].test(e.message))
    else assert.deepEqual(call(), JSON.parse(body))
  })

const cursorOf = ({ cursor, sequence }) => cursor ?? (sequence ? Number(sequence) : null)

/** Takes one event or body; what was asked for, what was handled, and whether that ended with a failure. */
async function take(gaps, given, { event, body, replay, fails_at, handled }) {
  const seen = []
  try {
    for await (const one of gaps.take(body === undefined ? event : JSON.parse(body), { replay })) {
      if (fails_at !== undefined && cursorOf(one) === fails_at) throw new Error('cannot be handled')
      seen.push(cursorOf(one))
    }
  } catch (e) {
    assert.match(e.message, /cannot be/)
    given.failed = true
  }
  assert.deepEqual(seen, handled)
}

for (const { name, cursor, steps } of vectors.gaps)
  test(`gap: ${name}`, async () => {
    let given
    const gaps = new GapDetector({
      cursor: cursor ?? undefined,
      async *fetchMissing(gap) {
        given.asked = gap
        if (given.fetch_fails) throw new Error('cannot be fetched')
        yield* given.fetched
      }
    })
    for (const step of steps) {
      given = { ...step }
      await take(gaps, given, step)
      assert.deepEqual(given.asked, step.gap)
      assert.equal(given.failed ?? false, step.fails_at !== undefined || step.fetch_fails === true)
      assert.equal(gaps.cursor ?? null, step.cursor)
    }
  })
