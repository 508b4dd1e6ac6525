package hms.ess;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * An event as ESS delivers and replays it, or what else a webhook may hold: a batch of events, a heartbeat, a handshake.
 *
 * @param cursor     its place in the log; {@link #NONE} in a test delivery, a batch and a handshake
 * @param prevCursor the subscriber's event before it; {@link #NONE} where there is no cursor, and in a dead letter that is sent again
 * @param compacted  newer events of the same keys have superseded some between prevCursor and cursor
 * @param json       the whole body, or the event of a batch, for the JSON library of your choice
 * @param batch      the events of a batch; empty: a handshake; null: neither
 */
public record Event(long cursor, long prevCursor, boolean compacted, String json, List<Event> batch) {
    public static final long NONE = -1;

    /** The members stand in this order and without white space: ESS writes them so. */
    private static final Pattern HEAD = Pattern.compile(
            "\\{\"(?:topic\":\"[A-Za-z0-9_.-]+\"|heartbeat\":true)"
                    + "(?:,\"cursor\":([0-9]{1,18})(?:,\"prev_cursor\":([0-9]{1,18}))?(,\"compacted\":true)?)?[,}]");
    private static final Pattern CLOUDEVENT_HEAD = Pattern.compile(
            "\\{\"specversion\":\"1[.]0\"(?:,\"(?:id|source|type|subject|time)\":\"(?:[^\"\\\\]|\\\\.)*+\")*+"
                    + "(?:,\"sequence\":\"00([0-9]{18})\")?(?:,\"essprevcursor\":\"00([0-9]{18})\")?(,\"esscompacted\":true)?[,}]");
    private static final Pattern BATCH = Pattern.compile("(?:\\{\"events\":)?\\[");
    private static final Pattern HANDSHAKE = Pattern.compile("\\{\"handshake\":\"");

    public Event(long cursor, long prevCursor, boolean compacted, String json) {
        this(cursor, prevCursor, compacted, json, null);
    }

    /** Reads the body of a webhook, or the head of an event: a line of a replay as NDJSON. */
    public static Event of(String json) throws EssException {
        Matcher batch = BATCH.matcher(json);
        if (batch.lookingAt())
            return new Event(NONE, NONE, false, json, batch(json, batch.end()));
        if (HANDSHAKE.matcher(json).lookingAt())
            return new Event(NONE, NONE, false, json, List.of());
        return one(json);
    }

    private static Event one(String json) throws EssException {
        for (Pattern pattern : List.of(HEAD, CLOUDEVENT_HEAD)) {
            Matcher head = pattern.matcher(json);
            if (head.lookingAt())
                return new Event(number(head.group(1)), number(head.group(2)), head.group(3) != null, json);
        }
        throw unknown();
    }

    private static EssException unknown() {
        return new EssException("this is no JSON object that begins as an event of ESS does; did ESS send it, and is it unchanged?");
    }

    /** Whether it is a heartbeat, which says that nothing is missing up to its cursor. */
    public boolean isHeartbeat() {
        return json.startsWith("{\"heartbeat\":true,");
    }

    /** The events of a batch, none of a handshake, else this one alone. */
    List<Event> each() {
        return batch == null ? List.of(this) : batch;
    }

    /** The elements of the array whose first one begins there. */
    private static List<Event> batch(String json, int at) throws EssException {
        List<Event> events = new ArrayList<>();
        for (int begin = at, depth = 0; at < json.length(); at++) {
            char c = json.charAt(at);
            if (c == '"')
                at = endOfString(json, at);
            else if (c == ',' && depth == 0)
                begin = at + 1;
            else if (c == '{' || c == '[')
                depth++;
            else if ((c == '}' || c == ']') && --depth == 0)
                events.add(one(json.substring(begin, at + 1)));
            if (depth < 0 && !events.isEmpty())
                return List.copyOf(events);
        }
        throw unknown();
    }

    private static int endOfString(String json, int at) {
        while (++at < json.length() && json.charAt(at) != '"')
            at += json.charAt(at) == '\\' ? 1 : 0;
        return at;
    }

    private static long number(String digits) {
        return digits == null ? NONE : Long.parseLong(digits);
    }
}
