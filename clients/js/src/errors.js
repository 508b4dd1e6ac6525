// What went wrong, in words that can be shown, and what to do next.

/**
 * `status` is the answer's (0: there was none), `field`, `index`, `id`, `cursor` and the like are the problem's members (RFC 9457),
 * `cause` the network's error. `retryable`: the same call may succeed later.
 */
export class EssError extends Error {
  constructor(message, { status = 0, problem = {}, cause, retryable = false, retryAfterMs = 0 } = {}) {
    super(message, cause ? { cause } : undefined)
    this.name = 'EssError'
    const own = { status, title: problem.title, detail: problem.detail, retryable, retryAfterMs }
    // A problem's members come from the other side: they add to the error and change nothing of it.
    for (const [name, value] of Object.entries(problem)) if (!(name in this) && !(name in own)) this[name] = value
    Object.assign(this, own)
  }
}

// 502 and 504 are a proxy's: the ingest behind it went away or did not answer, and may have taken the event.
const RETRYABLE = new Set([429, 502, 503, 504])

const ADVICE = {
  401: 'give an access token: ESS_TOKEN, or createClient({ token })',
  403: 'ask an operator for a token with that scope',
  413: 'share large data by a link'
}

/** From an answer that is no 2xx. */
export async function errorOf(response, url) {
  const text = await response.text()
  let problem = {}
  try {
    const parsed = JSON.parse(text)
    if (parsed && typeof parsed === 'object' && !Array.isArray(parsed)) problem = parsed
  } catch {
    problem = { detail: text.slice(0, 200) || response.statusText }
  }
  const place = response.status < 400 && response.headers.get('location')
  const said = place ? `it points to ${place}, where a body is not sent; is ESS_URL right?` : ADVICE[response.status]
  const advice = said ? `; ${said}` : ''
  const seconds = Number(response.headers.get('retry-after'))
  return new EssError(`${url}: ${response.status} ${problem.detail ?? problem.title ?? ''}${advice}`.trim(), {
    status: response.status,
    problem,
    retryable: RETRYABLE.has(response.status),
    retryAfterMs: seconds > 0 ? seconds * 1000 : 0
  })
}

/** From a connection that failed, or a time-out. */
export function errorOfNetwork(cause, url, timeoutMs) {
  const code = cause?.cause?.code ?? cause?.code
  const timedOut = cause?.name === 'TimeoutError' || cause?.name === 'AbortError'
  const said = timedOut
    ? `no answer within ${timeoutMs} ms; is ess-ingest overloaded, or Kafka away?`
    : code === 'ECONNREFUSED'
      ? 'connection refused; is ess-ingest running there? Set ESS_URL, or createClient({ url })'
      : code === 'ENOTFOUND'
        ? 'the host is not known; check ESS_URL, or createClient({ url })'
        : `the connection failed (${code ?? cause?.message}); it is tried again with the same id, so nothing is doubled`
  return new EssError(`${url}: ${said}`, { cause, retryable: true })
}
