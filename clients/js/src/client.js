// The calls of ESS's HTTP API that publishers, readers and vendors make.
import { EssError, errorOf, errorOfNetwork } from './errors.js'
import { uuidv7 } from './uuid.js'

const BATCH_MAX = 1000
const BACKOFF_MIN_MS = 100
const BACKOFF_MAX_MS = 5000

const sleep = (ms, signal) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(done, ms)
    function done() {
      signal?.removeEventListener('abort', abort)
      resolve()
    }
    function abort() {
      clearTimeout(timer)
      reject(signal.reason)
    }
    if (signal?.aborted) abort()
    else signal?.addEventListener('abort', abort, { once: true })
  })

/** Aborts at the time-out, or when the caller's signal does. (AbortSignal.any is not in Node 18.) */
function limitOf(timeoutMs, signal) {
  const controller = new AbortController()
  const timer = setTimeout(() => controller.abort(new DOMException('timed out', 'TimeoutError')), timeoutMs)
  const abort = () => controller.abort(signal.reason)
  if (signal?.aborted) abort()
  else signal?.addEventListener('abort', abort, { once: true })
  const end = () => {
    clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
  }
  return { signal: controller.signal, end }
}

/** An event that can be sent again: what names it stands in it. (A publisher's own cursor does, too.) */
function named(event) {
  if (event === null || typeof event !== 'object' || Array.isArray(event))
    throw new EssError('an event must be an object such as { topic: \'drug.copay\', data: { copay: 25 } }')
  return event.id === undefined && event.cursor === undefined ? { ...event, id: uuidv7() } : event
}

/** A proxy in front of several ingests sends what has one id to one of them; of an event that only has a cursor, ESS makes it so. */
function idOf({ id, cursor, topic }) {
  const made = id === undefined ? `${topic}:${cursor}`.replaceAll('.', '/') : id
  return typeof made === 'string' && /^[!-~]{1,128}$/.test(made) ? { 'x-ess-id': made } : {}
}

function query(parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined)
  return given.length ? `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}` : ''
}

function filterOf(filter) {
  return filter && JSON.stringify(filter)
}

function topicsOf(topics) {
  return Array.isArray(topics) ? topics.join(',') || undefined : topics
}

export class Client {
  #url
  #token
  #timeoutMs
  #retries

  constructor({ url = process.env.ESS_URL, token = process.env.ESS_TOKEN, timeoutMs = 10000, retries = 8 } = {}) {
    this.#url = (url || 'http://127.0.0.1:8080').replace(/\/+$/, '')
    this.#token = token || undefined
    this.#timeoutMs = timeoutMs
    this.#retries = retries
  }

  async #once(method, path, body, timeoutMs, signal, more) {
    const url = this.#url + path
    const headers = { accept: 'application/json', ...more }
    if (this.#token) headers.authorization = `Bearer ${this.#token}`
    if (body !== undefined) headers['content-type'] = 'application/json'
    const limit = limitOf(timeoutMs, signal)
    try {
      const redirect = body === undefined ? 'follow' : 'manual' // what is published goes nowhere else
      const response = await fetch(url, { method, headers, body, redirect, signal: limit.signal })
      if (response.ok) return await response.json()
      throw await errorOf(response, url)
    } catch (cause) {
      if (cause instanceof EssError) throw cause
      if (signal?.aborted) throw signal.reason
      throw errorOfNetwork(cause, url, timeoutMs)
    } finally {
      limit.end()
    }
  }

  /** Makes a call, again and again while that can help. Only for calls that may be made twice. */
  async #call(method, path, body, { timeoutMs = this.#timeoutMs, retries = this.#retries, signal, headers } = {}) {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#once(method, path, body, timeoutMs, signal, headers)
      } catch (error) {
        if (!(error instanceof EssError) || !error.retryable || attempt > retries) throw error
        const backoff = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** (attempt - 1))
        await sleep(Math.max(error.retryAfterMs, backoff / 2 + (Math.random() * backoff) / 2), signal)
      }
    }
  }

  async publish(event, options) {
    const whole = named(event)
    return this.#call('POST', '/ess/publish', JSON.stringify(whole), { ...options, headers: idOf(whole) })
  }

  async publishBatch(events, options) {
    if (!Array.isArray(events) || events.length === 0 || events.length > BATCH_MAX)
      throw new EssError(`a batch must be an array of 1 to ${BATCH_MAX} events`)
    const whole = events.map(named)
    const { results } = await this.#call('POST', '/ess/publish', JSON.stringify(whole), { ...options, headers: idOf(whole[0]) })
    return results
  }

  async *replay({ since = 0, until, topics, filter, limit = 500, signal } = {}) {
    for (let cursor = since, more = true; more; ) {
      const path = `/ess/replay${query({ since_cursor: cursor, until_cursor: until, topics: topicsOf(topics), filter: filterOf(filter), limit })}`
      const page = await this.#call('GET', path, undefined, { signal })
      yield* page.events
      more = page.more
      cursor = page.cursor
    }
  }

  async *poll({ cursor, topics, filter, limit = 500, waitS = 30, signal } = {}) {
    for (;;) {
      signal?.throwIfAborted()
      const path = `/ess/poll${query({ cursor, topics: topicsOf(topics), filter: filterOf(filter), limit, wait: waitS })}`
      const page = await this.#call('GET', path, undefined, { timeoutMs: this.#timeoutMs + waitS * 1000, signal })
      yield* page.events
      cursor = page.cursor
    }
  }

  async next(id, { limit = 500, waitS = 0, signal } = {}) {
    const path = `/ess/subscribers/${encodeURIComponent(id)}/next${query({ limit, wait: waitS })}`
    return this.#call('GET', path, undefined, { timeoutMs: this.#timeoutMs + waitS * 1000, signal })
  }

  async ack(id, cursor, options) {
    const path = `/ess/subscribers/${encodeURIComponent(id)}/ack`
    const answer = await this.#call('POST', path, JSON.stringify({ cursor }), { ...options, headers: {} })
    return answer.cursor
  }

  async *consume(id, { limit = 500, waitS = 30, signal } = {}) {
    for (;;) {
      signal?.throwIfAborted()
      const page = await this.next(id, { limit, waitS, signal })
      yield* page.events
      // without events, the page has passed those of other topics
      const done = page.events.at(-1)?.cursor ?? (page.more ? page.cursor : undefined)
      if (done !== undefined) await this.ack(id, done, { signal })
    }
  }

  /** Not repeated after a lost answer: the first one may have registered it, and its secret is shown once. */
  async subscribe(spec, options) {
    return this.#call('POST', '/register', JSON.stringify(spec), { retries: 0, ...options, headers: {} })
  }
}
