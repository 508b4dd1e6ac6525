package hms.ess;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * An event as ESS delivers and replays it.
 *
 * @param cursor     its place in the log; {@link #NONE} in a test delivery
 * @param prevCursor the subscriber's event before it; {@link #NONE} in a test delivery and in a dead letter that is sent again
 * @param compacted  newer events of the same keys have superseded some between prevCursor and cursor
 * @param json       the whole event, for the JSON library of your choice
 */
public record Event(long cursor, long prevCursor, boolean compacted, String json) {
    public static final long NONE = -1;

    /** The members of an event stand in this order and without white space: ESS writes them so. */
    private static final Pattern HEAD = Pattern.compile(
            "\\{\"topic\":\"[A-Za-z0-9_.-]+\"(?:,\"cursor\":([0-9]{1,18})(?:,\"prev_cursor\":([0-9]{1,18}))?(,\"compacted\":true)?)?[,}]");

    /** Reads the head of an event: the body of a webhook, or a line of a replay as NDJSON. */
    public static Event of(String json) throws EssException {
        Matcher head = HEAD.matcher(json);
        if (!head.lookingAt())
            throw new EssException("this is no JSON object that begins as an event of ESS does; did ESS send it, and is it unchanged?");
        return new Event(number(head.group(1)), number(head.group(2)), head.group(3) != null, json);
    }

    private static long number(String digits) {
        return digits == null ? NONE : Long.parseLong(digits);
    }
}
