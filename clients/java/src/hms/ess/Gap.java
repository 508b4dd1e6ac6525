package hms.ess;

/** What a receiver has missed: the events with since &lt; cursor &lt;= until. */
public record Gap(long since, long until) {
}
