package hms.ess;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Stream;

/** Fetches the events of a gap from ESS: pages of GET /ess/replay as NDJSON. */
public final class Replay implements GapDetector.Fetch {
    private static final int PAGE_EVENTS = 100;
    private static final int TIMEOUT_S = 30; // of a whole page
    private static final int EXCERPT_CHARACTERS = 300;

    private final HttpClient http = // follows no redirect
            HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).connectTimeout(Duration.ofSeconds(TIMEOUT_S)).build();
    private final String query;
    private final String token;

    /**
     * @param url    of ESS: http://127.0.0.1:8080
     * @param token  the access token; null where ESS wants none
     * @param topics those of the subscriber: drug.*,appointment.created
     */
    public Replay(String url, String token, String topics) {
        this(url, token, topics, null);
    }

    /** @param filter that of the subscriber, as JSON; null: it has none */
    public Replay(String url, String token, String topics, String filter) {
        query = url.replaceAll("/+$", "") + "/ess/replay?limit=" + PAGE_EVENTS + "&topics=" + URLEncoder.encode(topics, StandardCharsets.UTF_8)
                + (filter == null ? "" : "&filter=" + URLEncoder.encode(filter, StandardCharsets.UTF_8));
        this.token = token;
    }

    /** Reads page after page, as the stream is read. Throws an UncheckedIOException then. */
    @Override
    public Stream<Event> events(Gap gap) {
        return Stream.iterate(page(gap), page -> !page.isEmpty(), page -> page.size() < PAGE_EVENTS ? List.of() : page(behind(page, gap)))
                .flatMap(List::stream);
    }

    private static Gap behind(List<Event> page, Gap gap) {
        return new Gap(page.get(page.size() - 1).cursor(), gap.until());
    }

    private List<Event> page(Gap gap) {
        URI uri = URI.create(query + "&since_cursor=" + gap.since() + "&until_cursor=" + gap.until());
        try {
            return events(uri, answer(uri));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (EssException e) {
            throw new UncheckedIOException(new IOException(uri + ": a line of the answer: " + e.getMessage(), e));
        }
    }

    private static List<Event> events(URI uri, HttpResponse<String> answer) throws IOException, EssException {
        String body = answer.body();
        if (answer.statusCode() != 200)
            throw new IOException(uri + ": " + answer.statusCode() + " " + body.substring(0, Math.min(body.length(), EXCERPT_CHARACTERS)));
        List<Event> events = new ArrayList<>();
        for (String line : (Iterable<String>) body.lines()::iterator)
            events.add(Event.of(line));
        return events;
    }

    private HttpResponse<String> answer(URI uri) throws IOException {
        HttpRequest.Builder request = HttpRequest.newBuilder(uri).header("Accept", "application/x-ndjson");
        if (token != null && !token.isEmpty())
            request.header("Authorization", "Bearer " + token);
        CompletableFuture<HttpResponse<String>> answer = http.sendAsync(request.build(), BodyHandlers.ofString());
        try {
            return answer.get(TIMEOUT_S, TimeUnit.SECONDS);
        } catch (TimeoutException e) {
            answer.cancel(true);
            throw new IOException(uri + ": no answer within " + TIMEOUT_S + " s; is ess-ingest overloaded?", e);
        } catch (ExecutionException e) {
            throw new IOException(uri + ": " + e.getCause() + "; is ess-ingest running there?", e.getCause());
        } catch (InterruptedException e) {
            answer.cancel(true);
            Thread.currentThread().interrupt();
            throw new IOException(uri + ": interrupted", e);
        }
    }
}
