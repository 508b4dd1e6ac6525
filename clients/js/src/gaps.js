// Nothing for a subscriber lies strictly between an event's prev_cursor and its cursor. So a receiver whose newest cursor is below
// prev_cursor has missed events, and knows between which cursors they lie.

/**
 * Give every event as it arrives to `take`, and handle what `take` yields: in order, each once. A repeat yields nothing. Before an
 * event that comes after a gap, `take` yields what `fetchMissing({ since, until })` gives (an async iterable, such as
 * client.replay). A dead letter that is sent again (it has no prev_cursor) and an event of a replay job stand beside the live
 * stream: `take` always yields them, and `cursor` stays. `cursor` moves when the next event is asked for, so when the one before
 * it was handled.
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

  /** The range that is missing before this event, as { since, until }; null if nothing is missing. */
  gapBefore(event) {
    if (this.#cursor === undefined || event.prev_cursor === undefined || this.#cursor >= event.prev_cursor) return null
    return { since: this.#cursor, until: event.prev_cursor }
  }

  *#once(event) {
    if (this.#cursor !== undefined && event.cursor <= this.#cursor) return
    yield event
    this.#cursor = event.cursor
  }

  /** `replay`: the event came with the header X-ESS-Replay. */
  async *take(event, { replay = false } = {}) {
    if (replay || event.cursor === undefined || event.prev_cursor === undefined) {
      yield event // a replay job's, a test delivery, or a dead letter sent again: no part of the live stream
      return
    }
    const gap = this.gapBefore(event)
    if (gap && this.#fetchMissing) for await (const missed of this.#fetchMissing(gap)) yield* this.#once(missed)
    yield* this.#once(event)
  }
}
