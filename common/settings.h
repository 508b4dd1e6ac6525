/* All options of ESS in one table. Both services read the same table, so that one file serves both;
 * each uses its own part. */
#ifndef ESS_SETTINGS_H
#define ESS_SETTINGS_H

#include <stdint.h>

#include "common/base/options.h"
#include "common/kafka/config.h"
#include "common/net/address.h"

struct settings {
    struct kafka_config kafka;
    int64_t feed_cache;
    char *log_level;
    struct {
        char *listen, *tls_certificate, *tls_key;
        struct option_list hosts;
        int64_t max_event, max_body;
        int64_t max_connections, max_connections_per_address, max_reads_per_token,
            max_subscribers_per_token;
        int64_t buffers;
        int64_t header_timeout_ms, body_timeout_ms;
        int64_t queue;
        int64_t dedupe_window_ms, produce_timeout_ms;
    } ingest;
    struct option_list subscribers_dir;
    char *auth_file;
    char *pii_file;
    int64_t auth_insecure;
    char *secrets_key_file;
    char *signing_key_file;
    struct {
        char *listen;
        struct option_list hosts;
        char *group;
        int64_t max_connections;
        int64_t stop_timeout_ms, hold_after_ms;
        int64_t check_liveness;
    } dispatcher;
    struct option_list egress_allow, egress_dns;
    char *egress_ca_file, *egress_proxy, *egress_proxy_password_file;
    struct option_list egress_no_proxy;
    struct option_list sns_own_credentials;
    struct {
        int64_t timeout_ms, connect_timeout_ms, idle_timeout_ms, connection_lifetime_ms;
        int64_t max_attempts, backoff_min_ms, backoff_max_ms, disable_after_ms;
    } delivery;
    struct cidr *allowed; /* egress_allow, parsed */
    size_t allowed_count;
};

/* Opens the log, loads the settings, sets the log level, raises the limit of open files and forbids
 * core dumps. Returns 0. Returns -1 when the program must end with `*exit_status`, with nothing to
 * free: 2 after a bad option (named on stderr), 0 after --help or --version. Warns on stderr about
 * an unknown ESS_ variable. */
int settings_load(struct settings *settings, const char *program, int argc, char **argv,
                  char **environment, int *exit_status);
void settings_free(struct settings *settings);

#endif
