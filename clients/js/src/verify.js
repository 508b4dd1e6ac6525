// The receiver's half: is this webhook really from ESS, and whole? After the Standard Webhooks specification.
import { createHmac, timingSafeEqual } from 'node:crypto'
import { EssError } from './errors.js'

/** A secret with the prefix whsec_ is base64 of the key, any other is the key's bytes. */
function keyOf(secret) {
  if (typeof secret !== 'string' || secret === '') throw new EssError('verify: the secret is missing')
  return secret.startsWith('whsec_') ? Buffer.from(secret.slice(6), 'base64') : Buffer.from(secret)
}

/** Of a Headers object, or of Node's own headers. */
function headerOf(headers, name) {
  if (typeof headers?.get === 'function') return headers.get(name) ?? undefined
  const found = Object.keys(headers ?? {}).find((key) => key.toLowerCase() === name)
  const value = found === undefined ? undefined : headers[found]
  return Array.isArray(value) ? value.join(' ') : value
}

function equal(a, b) {
  const left = Buffer.from(a)
  const right = Buffer.from(b)
  return left.length === right.length && timingSafeEqual(left, right)
}

/**
 * Checks the signature and the age of a webhook, and returns its event. `rawBody` are the bytes as they came, not an object that
 * was parsed from them. Throws an EssError that says what is wrong.
 */
export function verify(rawBody, headers, secret, { toleranceS = 300, now = Date.now() } = {}) {
  if (typeof rawBody !== 'string' && !(rawBody instanceof Uint8Array))
    throw new EssError('verify: the body must be the raw bytes (a Buffer or a string), before any parsing')
  const body = Buffer.from(rawBody)
  const id = headerOf(headers, 'webhook-id')
  const timestamp = headerOf(headers, 'webhook-timestamp')
  const signatures = headerOf(headers, 'webhook-signature')
  if (!id || !timestamp || !signatures) throw new EssError('verify: webhook-id, webhook-timestamp or webhook-signature is missing')
  if (!/^\d{1,12}$/.test(timestamp) || Math.abs(now / 1000 - Number(timestamp)) > toleranceS)
    throw new EssError(`verify: the timestamp is more than ${toleranceS} s away from this clock; is one of the clocks wrong, or was it recorded?`)
  const expected = createHmac('sha256', keyOf(secret)).update(`${id}.${timestamp}.`).update(body).digest('base64')
  let good = false
  for (const signature of signatures.split(' ')) good = equal(signature, `v1,${expected}`) || good
  if (!good) throw new EssError('verify: the signature does not fit; is it the secret of this subscriber, and the body as it came?')
  return JSON.parse(body.toString('utf8'))
}
