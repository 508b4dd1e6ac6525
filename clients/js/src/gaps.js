// Nothing for a subscriber lies between an event's prev_cursor and its cursor: so whoever has seen less than prev_cursor has
// missed something, and knows what range.

/**
 * Give every event as it arrives to `take`, and handle what that yields: in order, each once. Nothing for an event that was seen
 * before, but for a dead letter that is sent again (it has no prev_cursor): its first delivery may have failed. Before one that comes after a gap, what `fetchMissing({ since, until })` (an async iterable, such as client.replay)
 * gives. `cursor` moves when the next one is asked for, so when the one before it was handled.
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

  /** The range that is missing before this event, as { since, until }; null when there is none. */
  gapBefore(event) {
    if (this.#cursor === undefined || event.prev_cursor === undefined || this.#cursor >= event.prev_cursor) return null
    return { since: this.#cursor, until: event.prev_cursor }
  }

  async *take(event) {
    if (event.cursor === undefined || (event.prev_cursor === undefined && this.#cursor !== undefined)) {
      yield event // a test delivery, or a dead letter sent again: no part of the live stream
      return
    }
    if (this.#cursor !== undefined && event.cursor <= this.#cursor) return
    const gap = this.gapBefore(event)
    if (gap && this.#fetchMissing) {
      for await (const missed of this.#fetchMissing(gap)) {
        yield missed
        this.#cursor = missed.cursor
      }
    }
    yield event
    this.#cursor = event.cursor
  }
}
