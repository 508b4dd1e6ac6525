package hms.ess;

import java.util.Iterator;
import java.util.stream.Stream;

/**
 * Notices what a receiver has missed, and has it fetched. Nothing for a subscriber lies strictly between an event's prev_cursor and its
 * cursor. So a receiver whose newest cursor is below prev_cursor has missed events, and knows between which cursors they lie.
 *
 * Any thread may use it; one after the other has its turn.
 */
public final class GapDetector {
    /** Gives the events of a gap, in order, as GET /ess/replay does. */
    @FunctionalInterface
    public interface Fetch {
        Stream<Event> events(Gap gap) throws Exception;
    }

    /** Handles an event. */
    @FunctionalInterface
    public interface Handler {
        void handle(Event event) throws Exception;
    }

    private final Fetch fetch;
    private long cursor;

    /** @param cursor the newest that was handled before, as kept by the receiver; {@link Event#NONE}: none yet */
    public GapDetector(long cursor, Fetch fetch) {
        this.cursor = cursor;
        this.fetch = fetch;
    }

    /** The newest cursor that was handled: to be kept, with what was done for the event. */
    public synchronized long cursor() {
        return cursor;
    }

    /** The range that is missing before this event or heartbeat; null if nothing is missing. */
    public synchronized Gap gapBefore(Event event) {
        return cursor == Event.NONE || cursor >= event.prevCursor() ? null : new Gap(cursor, event.prevCursor());
    }

    /**
     * Handles the events that were missed before this one, and then this one; nothing for a repeat. A dead letter that is sent again (it
     * has no prev_cursor) and an event of a replay job stand beside the live stream: they are always handled, and the cursor stays. What
     * the handler or the fetch throws ends the call: answer with 503, and the event's next delivery goes on where this one ended.
     *
     * The events of a batch are taken one after the other. A heartbeat shows a gap as an event does, and moves the cursor; a handshake
     * moves nothing. The handler gets neither. Events may be CloudEvents.
     *
     * @param body   what {@link Webhook#verify} has returned
     * @param replay the webhook came with the header X-ESS-Replay
     */
    public synchronized void take(Event body, boolean replay, Handler handler) throws Exception {
        for (Event event : body.each())
            one(event, replay, handler);
    }

    private void one(Event event, boolean replay, Handler handler) throws Exception {
        if (replay || event.cursor() == Event.NONE || event.prevCursor() == Event.NONE) {
            handler.handle(event);
            return;
        }
        Gap gap = gapBefore(event);
        if (gap != null)
            fill(gap, handler);
        once(event, handler);
    }

    private void fill(Gap gap, Handler handler) throws Exception {
        try (Stream<Event> missed = fetch.events(gap)) {
            for (Iterator<Event> i = missed.iterator(); i.hasNext();)
                once(i.next(), handler);
        }
    }

    private void once(Event event, Handler handler) throws Exception {
        if (event.cursor() <= cursor)
            return;
        if (!event.isHeartbeat())
            handler.handle(event);
        cursor = event.cursor();
    }
}
