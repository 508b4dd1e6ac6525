// Nothing for a subscriber lies strictly between an event's prev_cursor and its cursor. So a receiver whose newest cursor is below
// prev_cursor has missed events, and knows between which cursors they lie.

const cursorOf = ({ cursor, sequence }) => cursor ?? (sequence === undefined ? undefined : Number(sequence))
const prevCursorOf = ({ prev_cursor, essprevcursor }) => prev_cursor ?? (essprevcursor === undefined ? undefined : Number(essprevcursor))

/**
 * Give the verified body of every webhook to `take`, and handle the events that `take` yields: in order, each once. A repeat yields
 * nothing. Before an event that comes after a gap, `take` yields what `fetchMissing({ since, until })` gives (an async iterable,
 * such as client.replay). A dead letter that is sent again (it has no prev_cursor) and an event of a replay job stand beside the
 * live stream: `take` always yields them, and `cursor` stays. `cursor` moves when the next event is asked for, so when the one
 * before it was handled. The events of a batch are taken one after the other. A heartbeat shows a gap as an event does, and moves
 * `cursor`; a handshake moves nothing. Neither is yielded. Events may be CloudEvents.
 */
export class GapDetector {
  #fetchMissing
  #cursor

  /** `cursor`: the newest that was handled before, as kept by the receiver; undefined: none yet. */
  constructor({ cursor, fetchMissing } = {}) {
    this.#cursor = cursor
    this.#fetchMissing = fetchMissing
  }

  /** The newest cursor that was handled: to be kept, with what was done for the event. */
  get cursor() {
    return this.#cursor
  }

  /** The range that is missing before this event or heartbeat, as { since, until }; null if nothing is missing. */
  gapBefore(event) {
    const until = prevCursorOf(event)
    if (this.#cursor === undefined || until === undefined || this.#cursor >= until) return null
    return { since: this.#cursor, until }
  }

  *#once(event) {
    const cursor = cursorOf(event)
    if (this.#cursor !== undefined && cursor <= this.#cursor) return
    if (event.heartbeat !== true) yield event
    this.#cursor = cursor
  }

  async *#one(event, replay) {
    if (replay || cursorOf(event) === undefined || prevCursorOf(event) === undefined) {
      yield event // a replay job's, a test delivery, or a dead letter sent again: no part of the live stream
      return
    }
    const gap = this.gapBefore(event)
    if (gap && this.#fetchMissing) for await (const missed of this.#fetchMissing(gap)) yield* this.#once(missed)
    yield* this.#once(event)
  }

  /** `replay`: the webhook came with the header X-ESS-Replay. */
  async *take(body, { replay = false } = {}) {
    if (body.handshake !== undefined) return
    const events = Array.isArray(body) ? body : (body.events ?? [body])
    for (const event of events) yield* this.#one(event, replay)
  }
}
