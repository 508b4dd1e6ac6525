// The receiver's half, without a server.
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import test from 'node:test'
import { EssError, GapDetector, verify } from '../src/index.js'

const NOW = 1700000000000
const BODY = Buffer.from('{"topic":"drug.copay","cursor":2,"prev_cursor":1,"id":"a","ts":"2024-05-07T14:03:11Z","data":{"copay":25}}')

function headers(secret = 's3cr3t', changes = {}) {
  const key = secret.startsWith('whsec_') ? Buffer.from(secret.slice(6), 'base64') : secret
  const sign = (body) => `v1,${createHmac('sha256', key).update('a.1700000000.').update(body).digest('base64')}`
  return { 'Webhook-Id': 'a', 'webhook-timestamp': '1700000000', 'webhook-signature': sign(BODY), ...changes }
}

test('a webhook that ESS signed is verified, whatever kind of headers and secret', () => {
  assert.equal(verify(BODY, headers(), 's3cr3t', { now: NOW }).data.copay, 25)
  assert.equal(verify(BODY.toString(), new Headers(headers()), 's3cr3t', { now: NOW }).cursor, 2)
  const whsec = 'whsec_' + Buffer.from('another key').toString('base64')
  assert.equal(verify(BODY, headers(whsec), whsec, { now: NOW }).id, 'a')
})

test('during a rotation one of several signatures is enough', () => {
  const both = `v1,AAAA ${headers()['webhook-signature']}`
  assert.ok(verify(BODY, headers('s3cr3t', { 'webhook-signature': both }), 's3cr3t', { now: NOW }))
})

test('a changed body, another secret, an old or missing timestamp are refused with what is wrong', () => {
  const refused = (args, said) => assert.throws(() => verify(...args), (e) => e instanceof EssError && said.test(e.message))
  refused([BODY.toString().replace('25', '35'), headers(), 's3cr3t', { now: NOW }], /signature does not fit/)
  refused([BODY, headers(), 'wrong', { now: NOW }], /signature does not fit/)
  refused([BODY, headers(), 's3cr3t', { now: NOW + 301000 }], /300 s away/)
  refused([BODY, headers(), 's3cr3t', { now: NOW - 301000 }], /300 s away/)
  refused([BODY, headers('s3cr3t', { 'webhook-timestamp': undefined }), 's3cr3t', { now: NOW }], /missing/)
  refused([JSON.parse(BODY), headers(), 's3cr3t', { now: NOW }], /raw bytes/)
  refused([BODY, headers(), '', { now: NOW }], /secret is missing/)
})

async function collect(events) {
  const all = []
  for await (const event of events) all.push(event.cursor)
  return all
}

test('a gap is noticed, fetched and handled in order; what was seen before is not handled twice', async () => {
  const asked = []
  const gaps = new GapDetector({
    async *fetchMissing(gap) {
      asked.push(gap)
      yield { cursor: 12 }
      yield { cursor: 15 }
    }
  })
  assert.deepEqual(await collect(gaps.take({ cursor: 10, prev_cursor: 3 })), [10])
  assert.deepEqual(await collect(gaps.take({ cursor: 11, prev_cursor: 10 })), [11])
  assert.deepEqual(await collect(gaps.take({ cursor: 11, prev_cursor: 10 })), [])
  assert.deepEqual(gaps.gapBefore({ cursor: 17, prev_cursor: 15 }), { since: 11, until: 15 })
  assert.deepEqual(await collect(gaps.take({ cursor: 17, prev_cursor: 15 })), [12, 15, 17])
  assert.deepEqual(asked, [{ since: 11, until: 15 }])
  assert.equal(gaps.cursor, 17)
})

test('the cursor moves only when an event was handled', async () => {
  const gaps = new GapDetector({ cursor: 5 })
  const events = gaps.take({ cursor: 6, prev_cursor: 5 })
  await events.next()
  assert.equal(gaps.cursor, 5)
  await events.next()
  assert.equal(gaps.cursor, 6)
})

test('a redriven event is given although its cursor is behind, and the cursor stays', async () => {
  const gaps = new GapDetector({ cursor: 5 })
  assert.deepEqual(await collect(gaps.take({ cursor: 9, prev_cursor: 7 })), [9])
  assert.deepEqual(await collect(gaps.take({ cursor: 7 })), [7])
  assert.equal(gaps.cursor, 9)
  assert.deepEqual(await collect(gaps.take({ cursor: 10, prev_cursor: 9 })), [10])
})
