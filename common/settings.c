/* All options of ESS in one table; see settings.h. */
#include "common/settings.h"

#include <arpa/inet.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "common/base/buf.h"
#include "common/base/log.h"
#include "common/base/number.h"
#include "common/model/event.h"
#include "common/model/sns_grant.h"
#include "common/net/no_proxy.h"
#include "common/net/proxy_url.h"

enum { HOST_BYTES = 64 };
enum { KIB = 1024, MIB = 1024 * 1024, SECOND = 1000, HOUR = 3600 * SECOND, DAY = 24 * HOUR };

static int check_log_level(const char *name, const char *value, struct error *err) {
    enum log_level level;
    (void)name;
    return log_level_parse(value, &level) ? error_set(err, "must be debug, info, warn or error")
                                          : 0;
}

static int check_cidr(const char *name, const char *value, struct error *err) {
    struct cidr cidr;
    (void)name;
    return cidr_parse(value, &cidr, err);
}

/* Checks an address with or without a port: "127.0.0.1:53", "[::1]:53", "fd00::53". */
static int check_server(const char *name, const char *value, struct error *err) {
    const char *close = *value == '[' ? strchr(value, ']') : NULL, *colon = strrchr(value, ':');
    const char *port = close                                  ? (close[1] == ':' ? close + 2 : NULL)
                       : colon && strchr(value, ':') == colon ? colon + 1
                                                              : NULL;
    const char *end = close ? close : port ? port - 1 : value + strlen(value);
    char address[64];
    struct cidr cidr;
    (void)name;
    snprintf(address, sizeof address, "%.*s", (int)(end - value - (close != NULL)),
             value + (close != NULL));
    bool port_good = port ? *port && strlen(port) <= 5 && !port[strspn(port, "0123456789")]
                          : !close || !close[1];
    if (strchr(address, '/') || !port_good || cidr_parse(address, &cidr, err))
        return error_set(err,
                         "must be the address of a name server, such as 127.0.0.1:53 or [::1]:53");
    return 0;
}

static int check_proxy(const char *name, const char *value, struct error *err) {
    struct proxy_url url = {0};
    (void)name;
    int result = proxy_url_parse(value, &url, err);
    proxy_url_fini(&url);
    return result;
}

static int check_no_proxy(const char *name, const char *value, struct error *err) {
    (void)name;
    return no_proxy_check(value, err);
}

static int check_sns_grant(const char *name, const char *value, struct error *err) {
    (void)name;
    return sns_grant_check(value, err);
}

static int check_given(const char *name, const char *value, struct error *err) {
    (void)name;
    return *value ? 0 : error_set(err, "must not be empty");
}

/* Copies the host of host:port, without the brackets of IPv6. Returns -1 for other text. */
static int split_listen(const char *value, char host[HOST_BYTES]) {
    const char *colon = strrchr(value, ':');
    size_t len = colon ? (size_t)(colon - value) : 0;
    int64_t port = colon ? number_parse(span_of(colon + 1)) : -1;
    bool brackets = len > 2 && value[0] == '[' && value[len - 1] == ']';
    if (len == 0 || len >= HOST_BYTES || (!brackets && strcspn(value, ":[]") < len))
        return -1;
    if (port < 0 || port > 65535 || strlen(colon + 1) > 5)
        return -1;
    snprintf(host, HOST_BYTES, "%.*s", (int)(brackets ? len - 2 : len), value + brackets);
    return 0;
}

static int check_listen(const char *name, const char *value, struct error *err) {
    char host[HOST_BYTES];
    (void)name;
    return split_listen(value, host)
               ? error_set(err, "'%s' is not address:port, such as 127.0.0.1:8080 or [::1]:8080",
                           value)
               : 0;
}

static int check_prefix(const char *name, const char *value, struct error *err) {
    (void)name;
    size_t len = strspn(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.");
    if (len == 0 || len > 100 || value[len])
        return error_set(
            err,
            "must be 1 to 100 of the characters that Kafka allows in a topic: A-Z a-z 0-9 . _ -");
    return 0;
}

#define AT(member) offsetof(struct settings, member)
static const struct option table[] = {
    {"kafka.brokers", OPTION_STRING, AT(kafka.brokers), "127.0.0.1:9092", 0, 0, check_given,
     "Kafka's bootstrap servers, host:port, comma-separated"},
    {"kafka.prefix", OPTION_STRING, AT(kafka.prefix), "ess", 0, 0, check_prefix,
     "prefix of the topics' names"},
    {"kafka.replication_factor", OPTION_INT, AT(kafka.replication_factor), "-1", -1, 10, NULL,
     "replicas of a new topic; -1: the brokers' default.replication.factor"},
    {"kafka.min_insync_replicas", OPTION_INT, AT(kafka.min_insync_replicas), "-1", -1, 10, NULL,
     "min.insync.replicas of a new topic; -1: the brokers' own"},
    {"kafka.replay_window", OPTION_DURATION, AT(kafka.replay_window_ms), "7d", HOUR, 3650LL * DAY,
     NULL, "how long to keep every event; used when the topic is created"},
    {"kafka.partitions", OPTION_INT, AT(kafka.partitions), "64", 1, SUBSCRIBER_PARTITIONS_MAX, NULL,
     "of new subscriber and token topics; an existing feed keeps its number of partitions"},
    {"kafka.password_file", OPTION_STRING, AT(kafka.password_file), NULL, 0, 0, NULL,
     "file whose first line is the SASL password, instead of kafka.rdkafka.sasl.password"},
    {"kafka.rdkafka", OPTION_MAP, AT(kafka.rdkafka), NULL, 0, 0, kafka_check_rdkafka,
     "librdkafka's own settings, such as kafka.rdkafka.security.protocol"},
    {"feed.cache", OPTION_SIZE, AT(feed_cache), "64MiB", MIB, 64LL * 1024 * MIB, NULL,
     "memory for cached chunks of the log"},
    {"log.level", OPTION_STRING, AT(log_level), "info", 0, 0, check_log_level,
     "debug, info, warn or error"},
    {"ingest.listen", OPTION_STRING, AT(ingest.listen), "127.0.0.1:8080", 0, 0, check_listen,
     "address:port of the HTTP API; port 0: any free port"},
    {"ingest.tls_certificate", OPTION_STRING, AT(ingest.tls_certificate), NULL, 0, 0, NULL,
     "certificate chain of the HTTP API, PEM; turns on HTTPS; reloaded on change"},
    {"ingest.tls_key", OPTION_STRING, AT(ingest.tls_key), NULL, 0, 0, NULL,
     "private key of ingest.tls_certificate, PEM"},
    {"ingest.max_event", OPTION_SIZE, AT(ingest.max_event), "256KiB", KIB, EVENT_DATA_BYTES_MAX,
     NULL, "largest data member of one event, as sent"},
    {"ingest.max_body", OPTION_SIZE, AT(ingest.max_body), "8MiB", 64 * KIB, 64 * MIB, NULL,
     "largest body of one request"},
    {"ingest.max_connections", OPTION_INT, AT(ingest.max_connections), "10000", 0, 1000000, NULL,
     "open connections; 0: no limit"},
    {"ingest.max_connections_per_address", OPTION_INT, AT(ingest.max_connections_per_address),
     "2000", 0, 1000000, NULL,
     "open connections per IPv4 address or IPv6 /64; 0: no limit (behind a proxy)"},
    {"ingest.hosts", OPTION_LIST, AT(ingest.hosts), NULL, 0, 0, NULL,
     "host names accepted in requests without auth.file, besides names without a dot"},
    {"ingest.max_reads_per_token", OPTION_INT, AT(ingest.max_reads_per_token), "256", 0, 1000000,
     NULL, "concurrent replays, polls and streams per access token; 0: no limit"},
    {"ingest.max_subscribers_per_token", OPTION_INT, AT(ingest.max_subscribers_per_token), "1000",
     0, 1000000, NULL,
     "subscribers registered per access token with a register scope; 0: no limit"},
    {"ingest.buffers", OPTION_SIZE, AT(ingest.buffers), "128MiB", 8 * MIB, 64LL * 1024 * MIB, NULL,
     "memory for request bodies and answers not yet read by clients; beyond this, 503"},
    {"ingest.header_timeout", OPTION_DURATION, AT(ingest.header_timeout_ms), "10s", 100, HOUR, NULL,
     "how long a request's headers may take to arrive"},
    {"ingest.body_timeout", OPTION_DURATION, AT(ingest.body_timeout_ms), "30s", 100, HOUR, NULL,
     "how long a request's body may take to arrive"},
    {"ingest.queue", OPTION_SIZE, AT(ingest.queue), "64MiB", MIB, 2047LL * MIB, NULL,
     "accepted events not yet in Kafka; beyond this, 503"},
    {"ingest.dedupe_window", OPTION_DURATION, AT(ingest.dedupe_window_ms), "1h", SECOND, 7LL * DAY,
     NULL, "how long to recognise a repeated id, among the newest 1,000,000 ids"},
    {"ingest.produce_timeout", OPTION_DURATION, AT(ingest.produce_timeout_ms), "30s", SECOND,
     5 * 60 * SECOND, NULL,
     "how long to keep trying to append an event; the publisher gets 503 after 2 s"},
    {"subscribers.dir", OPTION_LIST, AT(subscribers_dir), "subscribers", 0, 0, NULL,
     "folders of subscriber YAML files; none: left to another ingest"},
    {"auth.file", OPTION_STRING, AT(auth_file), NULL, 0, 0, NULL,
     "YAML file of access tokens and scopes; none: every call is allowed, from loopback only"},
    {"auth.insecure", OPTION_BOOL, AT(auth_insecure), "false", 0, 0, NULL,
     "listen on other addresses than loopback although every call is allowed"},
    {"pii.file", OPTION_STRING, AT(pii_file), NULL, 0, 0, NULL,
     "YAML file of rules that remove personal data from events before storage"},
    {"secrets.key_file", OPTION_STRING, AT(secrets_key_file), ".run/secrets.key", 0, 0, check_given,
     "keys that seal secrets; created by ess-ingest when missing"},
    {"signing.key_file", OPTION_STRING, AT(signing_key_file), NULL, 0, 0, NULL,
     "Ed25519 keys for subscribers' signatures: ed25519, PEM; the first signs; reloaded on change"},
    {"dispatcher.listen", OPTION_STRING, AT(dispatcher.listen), "127.0.0.1:0", 0, 0, check_listen,
     "address:port of health and metrics; port 0: any free port"},
    {"dispatcher.hosts", OPTION_LIST, AT(dispatcher.hosts), NULL, 0, 0, NULL,
     "host names accepted for /metrics without auth.file, besides names without a dot"},
    {"dispatcher.group", OPTION_STRING, AT(dispatcher.group), NULL, 0, 0, check_prefix,
     "consumer group by which dispatchers share the subscribers; default <prefix>-dispatcher"},
    {"dispatcher.max_connections", OPTION_INT, AT(dispatcher.max_connections), "1000", 1, 100000,
     NULL, "concurrent webhooks, of all subscribers"},
    {"dispatcher.stop_timeout", OPTION_DURATION, AT(dispatcher.stop_timeout_ms), "8s", 0, HOUR,
     NULL, "how long webhooks in flight may take after SIGTERM"},
    {"dispatcher.check_liveness", OPTION_BOOL, AT(dispatcher.check_liveness), "false", 0, 0, NULL,
     "for tests: check once a second for a lane that nothing would wake, and end if found"},
    {"dispatcher.hold_after", OPTION_DURATION, AT(dispatcher.hold_after_ms), "30s", SECOND, HOUR,
     NULL, "stop attempts of a subscriber whose checkpoint Kafka has not taken for this long"},
    {"egress.allow", OPTION_LIST, AT(egress_allow), NULL, 0, 0, check_cidr,
     "non-public CIDRs that webhooks may reach"},
    {"egress.ca_file", OPTION_STRING, AT(egress_ca_file), NULL, 0, 0, NULL,
     "CA certificates trusted besides the system's, PEM"},
    {"egress.dns", OPTION_LIST, AT(egress_dns), NULL, 0, 0, check_server,
     "name servers, addr:port; none: the system's"},
    {"egress.proxy", OPTION_STRING, AT(egress_proxy), NULL, 0, 0, check_proxy,
     "forward proxy (CONNECT) to endpoints, http://host:port or https://…; user:password@ is "
     "secret"},
    {"egress.proxy_password_file", OPTION_STRING, AT(egress_proxy_password_file), NULL, 0, 0, NULL,
     "file whose first line is the password for egress.proxy; read again on change"},
    {"egress.no_proxy", OPTION_LIST, AT(egress_no_proxy), NULL, 0, 0, check_no_proxy,
     "CIDRs, and domains with the names below them, that are called without egress.proxy"},
    {"sns.own_credentials", OPTION_LIST, AT(sns_own_credentials), NULL, 0, 0, check_sns_grant,
     "accounts, and ARNs of topics, to which clients may publish by the dispatcher's credentials"},
    {"delivery.timeout", OPTION_DURATION, AT(delivery.timeout_ms), "15s", 100, 5 * 60 * SECOND,
     NULL, "how long one attempt may take"},
    {"delivery.connect_timeout", OPTION_DURATION, AT(delivery.connect_timeout_ms), "5s", 100,
     5 * 60 * SECOND, NULL, "how long connecting may take, within delivery.timeout"},
    {"delivery.idle_timeout", OPTION_DURATION, AT(delivery.idle_timeout_ms), "55s", SECOND, HOUR,
     NULL, "do not reuse a kept-alive connection idle for this long"},
    {"delivery.connection_lifetime", OPTION_DURATION, AT(delivery.connection_lifetime_ms), "10m",
     SECOND, DAY, NULL, "do not reuse a connection older than this"},
    {"delivery.max_attempts", OPTION_INT, AT(delivery.max_attempts), "15", 1, 1000, NULL,
     "failed attempts before an event becomes a dead letter"},
    {"delivery.backoff_min", OPTION_DURATION, AT(delivery.backoff_min_ms), "1s", 10, HOUR, NULL,
     "wait after the first failed attempt"},
    {"delivery.backoff_max", OPTION_DURATION, AT(delivery.backoff_max_ms), "1h", 10, DAY, NULL,
     "longest wait between attempts"},
    {"delivery.disable_after", OPTION_DURATION, AT(delivery.disable_after_ms), "5d", 60 * SECOND,
     30LL * DAY, NULL,
     "failing time before a subscriber is disabled; time without attempts does not count"},
};
enum { OPTIONS = sizeof table / sizeof *table };

/* Without access tokens every call is allowed, so only loopback addresses may be bound. */
static int check_loopback(const struct settings *s, const char *option, const char *listen,
                          struct error *err) {
    char host[HOST_BYTES];
    struct in_addr ipv4;
    struct in6_addr ipv6;
    split_listen(listen, host);
    bool loopback = inet_pton(AF_INET, host, &ipv4) == 1    ? ntohl(ipv4.s_addr) >> 24 == 127
                    : inet_pton(AF_INET6, host, &ipv6) == 1 ? IN6_IS_ADDR_LOOPBACK(&ipv6)
                                                            : strcmp(host, "localhost") == 0;
    if (s->auth_insecure || *s->auth_file || loopback)
        return 0;
    return error_set_field(
        err, option,
        "%s is not a loopback address, and without access tokens anyone could do anything; "
        "set auth.file, or set auth.insecure to allow this",
        listen);
}

static int parse_allowed(struct settings *s, struct error *err) {
    s->allowed_count = s->egress_allow.count;
    s->allowed = mem_zero(s->allowed_count * sizeof *s->allowed);
    for (size_t i = 0; i < s->allowed_count; i++)
        if (cidr_parse(s->egress_allow.items[i], &s->allowed[i], err))
            return -1;
    return 0;
}

/* Checks egress.proxy_password_file against egress.proxy, which check_proxy has accepted. */
static int settings_check_proxy(const struct settings *s, struct error *err) {
    struct proxy_url url = {0};
    struct error ignored;
    if (*s->egress_proxy && proxy_url_parse(s->egress_proxy, &url, &ignored))
        abort();
    bool user = url.user && *url.user, password = url.password && *url.password;
    proxy_url_fini(&url);
    if (!*s->egress_proxy_password_file || (user && !password))
        return 0;
    return error_set_field(err, "egress.proxy_password_file",
                           user ? "egress.proxy has a password already"
                                : "needs a user in egress.proxy: http://user@host:port");
}

static int settings_check_together(struct settings *s, struct error *err) {
    if (check_loopback(s, "ingest.listen", s->ingest.listen, err) ||
        check_loopback(s, "dispatcher.listen", s->dispatcher.listen, err))
        return -1;
    if (!*s->ingest.tls_certificate != !*s->ingest.tls_key)
        return error_set_field(err,
                               *s->ingest.tls_key ? "ingest.tls_certificate" : "ingest.tls_key",
                               "must be given too: a certificate needs its key");
    if (s->ingest.buffers < 2 * s->ingest.max_body)
        return error_set_field(err, "ingest.buffers", "must be at least twice ingest.max_body");
    if (s->delivery.backoff_max_ms < s->delivery.backoff_min_ms)
        return error_set_field(err, "delivery.backoff_max",
                               "must not be below delivery.backoff_min");
    if (s->kafka.replication_factor == 0 || s->kafka.min_insync_replicas == 0)
        return error_set_field(err,
                               s->kafka.replication_factor ? "kafka.min_insync_replicas"
                                                           : "kafka.replication_factor",
                               "must be -1 (the brokers' own), or at least 1");
    if (s->kafka.replication_factor > 0 &&
        s->kafka.min_insync_replicas > s->kafka.replication_factor)
        return error_set_field(err, "kafka.min_insync_replicas",
                               "must not be above kafka.replication_factor");
    if (settings_check_proxy(s, err))
        return -1;
    return parse_allowed(s, err);
}

static void raise_open_files(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* A core would hold secrets and access tokens in clear text. Also keeps other processes of the same
 * user from reading this one's memory. */
static void forbid_core_dumps(void) {
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0);
}

static void warn_unknown_variable(const char *name) {
    log_warn("unknown_variable", LOG_S("name", name));
}

int settings_load(struct settings *s, const char *program, int argc, char **argv,
                  char **environment, int *exit_status) {
    struct error err;
    enum log_level level = LOG_LEVEL_INFO;
    *s = (struct settings){0};
    log_open();
    enum options_result result = options_load(table, OPTIONS, s, program, argc, argv, environment,
                                              warn_unknown_variable, &err);
    *exit_status = result == OPTIONS_SHOWN ? 0 : 2;
    if (result == OPTIONS_SHOWN)
        return -1; /* no setting is loaded yet */
    if (result == OPTIONS_BAD || settings_check_together(s, &err)) {
        log_error("bad_option", LOG_S("reason", err.message));
        settings_free(s);
        return -1;
    }
    log_level_parse(s->log_level, &level);
    log_set_level(level);
    raise_open_files();
    forbid_core_dumps();
    return 0;
}

void settings_free(struct settings *s) {
    free(s->allowed);
    s->allowed = NULL;
    options_free(table, OPTIONS, s);
}
