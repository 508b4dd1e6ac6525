// What went wrong, in words that can be shown, and what to do next.

/**
 * `status` is the answer's (0: there was none), `field`, `index`, `id`, `cursor` and the like are the problem's members (RFC 9457),
 * `cause` the network's error. `retryable`: the same call may succeed later.
 */
export class EssError extends Error {
  constructor(message, { status = 0, problem = {}, cause, retryable = false, retryAfterMs = 0 } = {}) {
    super(message, cause ? { cause } : undefined)
    this.name = 'EssError'
    const { title, status: _, detail, ...members } = problem
    Object.assign(this, members)
    this.status = status
    this.title = title
    this.detail = detail
    this.retryable = retryable
    this.retryAfterMs = retryAfterMs
  }
}

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
    if (parsed && typeof parsed === 'object') problem = parsed
  } catch {
    problem = { detail: text.slice(0, 200) || response.statusText }
  }
  const advice = ADVICE[response.status] ? `; ${ADVICE[response.status]}` : ''
  const seconds = Number(response.headers.get('retry-after'))
  return new EssError(`${url}: ${response.status} ${problem.detail ?? problem.title ?? ''}${advice}`.trim(), {
    status: response.status,
    problem,
    retryable: response.status === 503 || response.status === 429,
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
