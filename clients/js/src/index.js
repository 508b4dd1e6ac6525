// hms-ess: publishes to ESS, reads its feed, and verifies what it delivers. No dependencies; Node 18 or later.
import { Client } from './client.js'

export { EssError } from './errors.js'
export { GapDetector } from './gaps.js'
export { verify } from './verify.js'

let common // made at the first publish, from the environment

/** A client of its own; see index.d.ts. */
export function createClient(options = {}) {
  return new Client(options)
}

/** Publishes one event to ESS_URL (http://127.0.0.1:8080 unless set), with the access token ESS_TOKEN. */
export async function publish(event, options) {
  common ??= new Client()
  return common.publish(event, options)
}
