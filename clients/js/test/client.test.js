// The client against a real ess-ingest at ESS_URL.
import assert from 'node:assert/strict'
import http from 'node:http'
import test from 'node:test'
import { EssError, GapDetector, createClient, publish } from '../src/index.js'

const client = createClient()
const topic = `js.${process.pid}`

async function take(events, count) {
  const taken = []
  for await (const event of events) if (taken.push(event) === count) break
  return taken
}

test("the seed's one-liners work unchanged", async () => {
  const ess = { publish }
  const first = await ess.publish({
    topic: 'drug.copay',
    data: { ndc: '00002-8215', copay: 25 },
    cursor: process.pid * 1000 // monotonic counter
  })
  assert.equal(first.id, `drug/copay:${process.pid * 1000}`)
  const second = await publish({
    topic: 'appointment.cancelled',
    data: { apptId: 9981, reason: 'snow' }
  })
  assert.ok(second.cursor > first.cursor)
  assert.match(second.id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
})

test('a batch gives results in order, and a replay reads it back', async () => {
  const results = await client.publishBatch([1, 2, 3].map((n) => ({ topic, data: { n } })))
  assert.equal(results.length, 3)
  assert.ok(results[0].cursor < results[1].cursor && results[1].cursor < results[2].cursor)
  const events = []
  for await (const event of client.replay({ since: results[0].cursor - 1, topics: [topic], limit: 2 })) events.push(event)
  assert.deepEqual(events.map((event) => event.data.n), [1, 2, 3])
  assert.deepEqual(events.map((event) => event.id), results.map((result) => result.id))
})

test('poll waits for what comes, and ends with its signal', async () => {
  const { cursor } = await client.publish({ topic, data: 'before' })
  const reading = take(client.poll({ cursor, topics: topic }), 2)
  await client.publish({ topic, data: 'first' })
  await client.publish({ topic: 'js.other', data: 'not this' })
  await client.publish({ topic, data: 'second' })
  assert.deepEqual((await reading).map((event) => event.data), ['first', 'second'])
  const ending = new AbortController()
  const endless = client.poll({ topics: 'js.nobody', signal: ending.signal }).next()
  setTimeout(() => ending.abort(new Error('enough')), 50)
  await assert.rejects(endless, /enough/)
})

test('a repeated id is heard once', async () => {
  const event = { topic, data: 1, id: `twice-${process.pid}` }
  const first = await client.publish(event)
  const second = await client.publish(event)
  assert.equal(second.cursor, first.cursor)
  assert.equal(second.duplicate, true)
  await assert.rejects(client.publish({ ...event, data: 2 }), (e) => e instanceof EssError && e.status === 409 && e.cursor === first.cursor)
})

test("a problem's fields stand in the error", async () => {
  await assert.rejects(client.publish({ topic: 'no good', data: 1 }), (e) => e.status === 400 && e.field === 'topic' && !e.retryable)
  await assert.rejects(client.publishBatch([{ topic, data: 1 }, { topic }]), (e) => e.status === 400 && e.index === 1)
  await assert.rejects(client.publishBatch([]), /1 to 1000/)
  await assert.rejects(client.publish('text'), /must be an object/)
})

test('a subscriber is registered, and its secret shown', async () => {
  const made = await client.subscribe({ url: 'https://vendor.example/hook', topics: ['appointment.*'], secret: 'vend0r' })
  assert.ok(made.id && made.token && made.cursor >= 0)
  assert.equal(made.secret, 'vend0r')
  assert.match(made.whsec, /^whsec_/)
  await assert.rejects(client.subscribe({ url: 'http://vendor.example/hook', topics: ['a'] }), (e) => e.status === 400 && e.field === 'url')
})

test('a pulled subscriber is consumed, each event until it is acknowledged, without a gap', async () => {
  const mine = `${topic}.pulled`
  const { id, next, secret } = await client.subscribe({ topics: [mine] })
  assert.equal(next, `/ess/subscribers/${id}/next`)
  assert.equal(secret, undefined)
  const published = []
  for (const n of [1, 2, 3, 4]) {
    published.push((await client.publish({ topic: mine, data: { n } })).cursor)
    await client.publish({ topic, data: 'between' })
  }
  const page = await client.next(id, { limit: 2 })
  assert.deepEqual(page.events.map((event) => event.cursor), published.slice(0, 2))
  assert.equal(page.more, true)
  assert.equal(await client.ack(id, published[0]), published[0])
  assert.equal(await client.ack(id, 0), published[0])
  const gaps = new GapDetector({ cursor: published[0] })
  const taken = []
  for await (const event of client.consume(id, { limit: 2, waitS: 5 })) {
    assert.equal(gaps.gapBefore(event), null)
    for await (const one of gaps.take(event)) taken.push(one.cursor)
    if (taken.length === 3) break
  }
  assert.deepEqual(taken, published.slice(1))
  assert.deepEqual((await client.next(id)).events.map((event) => event.cursor), published.slice(3)) // the last page was not done
  await assert.rejects(client.ack(id, published[3] + 1e6), (e) => e.status === 400 && e.field === 'cursor')
  await assert.rejects(client.next('nobody'), (e) => e.status === 404)
})

/** A server that answers 503 a few times, then hands on; keeps the bodies that it got, and of each request the id in its header. */
async function flaky(failures, work) {
  const bodies = []
  const ids = []
  const server = http.createServer((request, response) => {
    const parts = []
    request.on('data', (part) => parts.push(part))
    request.on('end', () => {
      bodies.push(Buffer.concat(parts).toString())
      ids.push(request.headers['x-ess-id'])
      const failure = failures.shift()
      if (failure === 'cut') request.socket.destroy()
      else if (failure instanceof Object) response.writeHead(failure.status, failure.headers).end(JSON.stringify(failure.problem))
      else if (failure) response.writeHead(failure, { 'content-type': 'application/problem+json' }).end('{"title":"Service Unavailable","status":503}')
      else response.writeHead(201, { 'content-type': 'application/json' }).end(JSON.stringify({ cursor: 7, id: JSON.parse(bodies.at(-1)).id }))
    })
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    return await work(`http://127.0.0.1:${server.address().port}`, bodies, ids)
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

test('503, a proxy that gives up and lost connections are tried again with the same id', async () => {
  await flaky([503, 'cut', 502, 504, 503], async (url, bodies, ids) => {
    const { cursor, id } = await createClient({ url }).publish({ topic: 'a', data: 1 })
    assert.equal(cursor, 7)
    assert.equal(bodies.length, 6)
    assert.deepEqual([...new Set(bodies.map((body) => JSON.parse(body).id))], [id])
    assert.deepEqual([...new Set(ids)], [id])
  })
})

test('the header names the event, also one that has its id by its cursor, and of a batch the first', async () => {
  await flaky([], async (url, bodies, ids) => {
    const one = createClient({ url })
    await one.publish({ topic: 'a.b', data: 1, cursor: 5 })
    await one.publish({ topic: 'a', data: 1, id: 'not \n printable' })
    await one.publishBatch([{ topic: 'a', data: 1, id: 'x' }, { topic: 'a', data: 1, id: 'y' }])
    assert.deepEqual(ids, ['a/b:5', undefined, 'x'])
  })
  const events = [1, 2].map((n) => ({ topic: 'a.b', data: n, cursor: process.pid * 1000 + n }))
  assert.equal((await client.publishBatch(events)).length, 2)
  assert.equal((await client.publish(events[0])).duplicate, true)
})

test('a body is never sent where a redirect points', async () => {
  await flaky([], async (elsewhere, taken) => {
    await flaky([{ status: 307, headers: { location: `${elsewhere}/ess/publish` }, problem: {} }], async (url) => {
      const refused = createClient({ url }).publish({ topic: 'a', data: 1 })
      await assert.rejects(refused, (e) => e instanceof EssError && e.status === 307 && e.message.includes(elsewhere) && !e.retryable)
    })
    assert.deepEqual(taken, [])
  })
})

test("a problem's members change nothing of the error itself", async () => {
  const problem = { title: 'Bad Request', status: 999, detail: 'no', field: 'topic', message: 'x', name: 'x', stack: 'x', cause: 'x', retryable: true }
  await flaky([{ status: 400, headers: {}, problem: { ...problem, retryAfterMs: 9, toString: 'x' } }], async (url) => {
    const error = await createClient({ url }).publish({ topic: 'a', data: 1 }).catch((e) => e)
    assert.ok(error instanceof EssError && error.message.endsWith('400 no') && error.name === 'EssError' && error.stack.includes('EssError'))
    assert.deepEqual([error.status, error.field, error.retryable, error.retryAfterMs, error.cause], [400, 'topic', false, 0, 'x'])
    assert.match(`${error}`, /400 no/)
  })
})

test('errors say what to do next', async () => {
  const closed = http.createServer()
  await new Promise((resolve) => closed.listen(0, '127.0.0.1', resolve))
  const nowhere = createClient({ url: `http://127.0.0.1:${closed.address().port}`, retries: 0 })
  await new Promise((resolve) => closed.close(resolve))
  await assert.rejects(nowhere.publish({ topic: 'a', data: 1 }), (e) => e instanceof EssError && e.status === 0 && /ESS_URL/.test(e.message) && e.retryable)
  const silent = http.createServer(() => {})
  await new Promise((resolve) => silent.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${silent.address().port}`
  await assert.rejects(createClient({ url, retries: 0, timeoutMs: 100 }).publish({ topic: 'a', data: 1 }), /no answer within 100 ms/)
  silent.closeAllConnections()
  silent.close()
})
