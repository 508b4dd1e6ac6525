package hms.ess;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Holds the client against the test vectors that all clients of ESS share: java hms.ess.VectorsTest clients/vectors.json */
public final class VectorsTest {
    private static final Map<String, String> SAYS = Map.of(
            "header", "the header webhook-[a-z]+ is missing.*", "timestamp", ".*away from this clock.*", "signature", "the signature does not fit.*",
            "secret", "the secret is (missing|damaged).*", "body", "this is no JSON object.*",
            "jwks", "the JWKS has (no|a damaged) Ed25519 key.*");
    private static int passed, failed;

    public static void main(String[] arguments) throws Exception {
        Map<String, Object> vectors = object(Json.parse(Files.readString(Path.of(arguments[0]))));
        for (Object one : list(vectors.get("signatures")))
            signature(object(one));
        for (Object one : list(vectors.get("public_key_signatures")))
            signature(object(one));
        for (Object one : list(vectors.get("gaps")))
            new Story(object(one)).run();
        System.out.println(passed + " passed, " + failed + " failed");
        System.exit(failed == 0 && passed > 0 ? 0 : 1);
    }

    private static void check(String name, Object expected, Object found) {
        boolean good = Objects.equals(expected, found);
        if (!good)
            System.out.println(name + ": expected " + expected + ", found " + found);
        passed += good ? 1 : 0;
        failed += good ? 0 : 1;
    }

    // --- signatures

    private static void signature(Map<String, Object> vector) {
        String found = verified(vector);
        String error = (String) vector.get("error");
        boolean asExpected = error == null ? found.equals(vector.get("body")) : found.matches(SAYS.get(error));
        check("signature: " + vector.get("name"), error + " " + true, error + " " + (asExpected ? true : found));
    }

    /** The event, or what is wrong. */
    private static String verified(Map<String, Object> vector) {
        TreeMap<String, String> headers = new TreeMap<>(String.CASE_INSENSITIVE_ORDER);
        object(vector.get("headers")).forEach((name, value) -> headers.put(name, (String) value));
        Duration tolerance = Duration.ofSeconds((Long) vector.getOrDefault("tolerance", 300L));
        Clock clock = Clock.fixed(Instant.ofEpochSecond((Long) vector.get("now")), ZoneOffset.UTC);
        String[] secrets = vector.containsKey("secrets") ? list(vector.get("secrets")).toArray(new String[0]) : new String[0];
        try {
            byte[] body = ((String) vector.get("body")).getBytes(StandardCharsets.UTF_8);
            PublicKeys keys = vector.containsKey("jwks") ? PublicKeys.of(text(vector.get("jwks"))) : null;
            return new Webhook(tolerance, clock, keys, secrets).verify(body, headers::get).json();
        } catch (EssException | IllegalArgumentException e) {
            return e.getMessage();
        }
    }

    // --- gaps

    private static final class Story {
        private final String name;
        private final List<Object> steps;
        private final GapDetector gaps;
        private Map<String, Object> step;
        private Gap asked;

        Story(Map<String, Object> story) {
            name = "gap: " + story.get("name");
            steps = list(story.get("steps"));
            gaps = new GapDetector(cursor(story, "cursor"), this::fetch);
        }

        void run() {
            for (Object one : steps) {
                step = object(one);
                asked = null;
                List<Object> handled = new ArrayList<>();
                boolean fails = take(handled);
                check(name, step.containsKey("fails_at") || step.containsKey("fetch_fails"), fails);
                check(name, step.get("handled"), handled);
                check(name, cursor(step, "cursor"), gaps.cursor());
                Map<String, Object> gap = object(step.get("gap"));
                check(name, gap == null ? null : new Gap(cursor(gap, "since"), cursor(gap, "until")), asked);
            }
        }

        private boolean take(List<Object> handled) {
            try {
                gaps.take(step.containsKey("body") ? Event.of((String) step.get("body")) : event(step.get("event")), step.containsKey("replay"), event -> {
                    Long cursor = event.cursor() == Event.NONE ? null : event.cursor();
                    if (cursor != null && cursor.equals(step.get("fails_at")))
                        throw new IllegalStateException("cannot be handled");
                    handled.add(cursor);
                });
                return false;
            } catch (Exception e) {
                return true;
            }
        }

        private Stream<Event> fetch(Gap gap) {
            asked = gap;
            if (step.containsKey("fetch_fails"))
                throw new IllegalStateException("cannot be fetched");
            return list(step.get("fetched")).stream().map(VectorsTest::event);
        }
    }

    private static Event event(Object value) {
        Map<String, Object> event = object(value);
        return new Event(cursor(event, "cursor"), cursor(event, "prev_cursor"), event.containsKey("compacted"), "");
    }

    /** JSON of what was read: the client reads a JWK Set as text. */
    private static String text(Object value) {
        if (value instanceof List<?> elements)
            return elements.stream().map(VectorsTest::text).collect(Collectors.joining(", ", "[", "]"));
        if (value instanceof Map<?, ?> members)
            return members.entrySet().stream().map(member -> text(member.getKey()) + ": " + text(member.getValue()))
                    .collect(Collectors.joining(",\n", "{", "}"));
        return "\"" + value + "\"";
    }

    private static long cursor(Map<String, Object> object, String name) {
        return object.get(name) == null ? Event.NONE : (Long) object.get(name);
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> object(Object value) {
        return (Map<String, Object>) value;
    }

    @SuppressWarnings("unchecked")
    private static List<Object> list(Object value) {
        return (List<Object>) value;
    }
}
