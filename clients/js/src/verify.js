// The receiver's half: is this webhook really from ESS, and whole? After the Standard Webhooks specification.
import { createHmac, createPublicKey, timingSafeEqual, verify as verifyBy } from 'node:crypto'
import { EssError } from './errors.js'

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** A secret with the prefix whsec_ is base64 of the key, any other is the key's bytes. */
function keyOf(secret) {
  if (typeof secret !== 'string' || secret === '') throw new EssError('verify: the secret is missing')
  if (!secret.startsWith('whsec_')) return Buffer.from(secret)
  const text = secret.slice(6)
  if (!text || !BASE64.test(text)) throw new EssError('verify: the secret is damaged: what follows whsec_ must be base64')
  return Buffer.from(text, 'base64')
}

/** ESS's public keys in a JWK Set; those of other kinds are passed over. */
function publicKeysOf(jwks) {
  const own = Array.isArray(jwks.keys) ? jwks.keys.filter((jwk) => jwk?.kty === 'OKP' && jwk.crv === 'Ed25519') : []
  if (own.length === 0) throw new EssError('verify: the JWKS has no Ed25519 key; is it what ESS serves at /.well-known/jwks.json?')
  try {
    return own.map((key) => createPublicKey({ key, format: 'jwk' }))
  } catch (cause) {
    throw new EssError('verify: the JWKS has a damaged Ed25519 key', { cause })
  }
}

/** A check for each secret, and for each key of a JWK Set: during a rotation a receiver may have several. */
function checksOf(secret) {
  const checks = [secret].flat().flatMap((one) =>
    one !== null && typeof one === 'object' ? publicKeysOf(one).map(checkOfPublicKey) : [checkOfSecret(keyOf(one))]
  )
  if (checks.length === 0) throw new EssError('verify: the secret is missing')
  return checks
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

/** Of a key, what tells for the signed parts whether a signature is the key's. */
const checkOfSecret = (key) => (parts) => {
  const mac = createHmac('sha256', key)
  for (const part of parts) mac.update(part)
  const expected = `v1,${mac.digest('base64')}`
  return (signature) => equal(signature, expected)
}

const checkOfPublicKey = (key) => (parts) => {
  const message = Buffer.concat(parts.map((part) => Buffer.from(part)))
  return (signature) => signature.startsWith('v1a,') && verifyBy(null, message, key, Buffer.from(signature.slice(4), 'base64'))
}

/** Whether any signature is that of any key. All are looked at, so that the time tells nothing. */
function signed(signatures, checks, parts) {
  let good = false
  for (const check of checks) {
    const fits = check(parts)
    for (const signature of signatures.split(' ')) good = fits(signature) || good
  }
  return good
}

const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value)

/** An object; a batch has several: in `events`, or as an array of CloudEvents. */
function parsedOf(body) {
  let parsed
  try {
    parsed = JSON.parse(body.toString('utf8'))
  } catch (cause) {
    throw new EssError('verify: the body is signed, but no JSON; did ESS send it?', { cause })
  }
  const objects = Array.isArray(parsed) ? parsed : (parsed?.events ?? [parsed])
  if (!Array.isArray(objects) || objects.length === 0 || !objects.every(isObject))
    throw new EssError('verify: the body is signed, but no JSON object; did ESS send it?')
  return parsed
}

/**
 * Checks the signature and the age of a webhook, and returns its body, parsed. `rawBody` are the bytes as they came, not an object that
 * was parsed from them. `secret` may be ESS's public keys (a JWK Set), or an array, of which one must fit. Throws an EssError that
 * says what is wrong.
 */
export function verify(rawBody, headers, secret, { toleranceS = 300, now = Date.now() } = {}) {
  if (typeof rawBody !== 'string' && !(rawBody instanceof Uint8Array))
    throw new EssError('verify: the body must be the raw bytes (a Buffer or a string), before any parsing')
  const checks = checksOf(secret)
  const body = Buffer.from(rawBody)
  const id = headerOf(headers, 'webhook-id')
  const timestamp = headerOf(headers, 'webhook-timestamp')
  const signatures = headerOf(headers, 'webhook-signature')
  if (!id || !timestamp || !signatures) throw new EssError('verify: webhook-id, webhook-timestamp or webhook-signature is missing')
  if (!/^\d{1,12}$/.test(timestamp) || Math.abs(now / 1000 - Number(timestamp)) > toleranceS)
    throw new EssError(`verify: the timestamp is more than ${toleranceS} s away from this clock; is one of the clocks wrong, or was it recorded?`)
  if (!signed(signatures, checks, [`${id}.${timestamp}.`, body]))
    throw new EssError('verify: the signature does not fit; is it the secret of this subscriber, and the body as it came?')
  return parsedOf(body)
}
