/* What webhooks cost, without ESS: the limit that ess-dispatcher is held against. Loopback only.
 *
 *   webhooks receive CERT KEY COUNT SECONDS [FAILS]   an HTTPS receiver; prints its port
 *   webhooks bare URL CA COUNT IN_FLIGHT BYTES        a bare libcurl multi loop: COUNT POSTs
 *
 * The receiver prints how fast the requests came after each COUNT that it took; it answers FAILS
 * percent of all with 503. `bare` makes both signatures for each POST. */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/crypto/signature.h"

enum { IN_FLIGHT_MAX = 1000 };

static int fail(const char *what) {
    fprintf(stderr, "webhooks: %s\n", what);
    return 1;
}

/* --- the receiver */

static long count_wanted, count_got, fail_percent;
static int64_t first_us;

static void note_request(void) {
    if (count_got++ == 0)
        first_us = clock_us();
    if (count_got < count_wanted)
        return;
    double seconds = (double)(clock_us() - first_us) / 1e6;
    printf("received=%ld seconds=%.3f per_sec=%.0f\n", count_got, seconds,
           (double)count_got / seconds);
    fflush(stdout);
    count_got = 0;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **state) {
    static char begun;
    static struct MHD_Response *response;
    bool fails = false;
    (void)cls, (void)url, (void)method, (void)version, (void)data;
    if (!*state) {
        *state = &begun;
        return MHD_YES;
    }
    if (*size) {
        *size = 0;
        return MHD_YES;
    }
    fails = fail_percent && random() % 100 < fail_percent;
    if (!fails)
        note_request();
    if (!response)
        response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    return MHD_queue_response(connection, fails ? 503 : 200, response);
}

static char *read_file(const char *path) {
    FILE *file = fopen(path, "r");
    char *text = calloc(1, 65536);
    if (!file || !text || fread(text, 1, 65535, file) == 0)
        exit(fail(path));
    fclose(file);
    return text;
}

static int receive(const char *cert, const char *key, long seconds) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char *cert_text = read_file(cert), *key_text = read_file(key);
    sigset_t set;
    struct timespec limit = {.tv_sec = seconds};
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_TLS | MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, on_request, NULL,
        MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_HTTPS_MEM_CERT, cert_text,
        MHD_OPTION_HTTPS_MEM_KEY, key_text, MHD_OPTION_END);
    if (!daemon)
        return fail("the receiver does not start");
    printf("port=%u\n", MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    sigtimedwait(&set, NULL, &limit); /* until told to end, or the time is over */
    MHD_stop_daemon(daemon);
    free(cert_text);
    free(key_text);
    return 0;
}

/* --- the bare loop */

static struct signer *signer;
static char *body;
static size_t body_len;

static size_t discard(char *data, size_t size, size_t count, void *arg) {
    (void)data, (void)arg;
    return size * count;
}

static struct curl_slist *sign(long number) {
    char hex[SIGNATURE_HEX_BYTES], webhook[SIGNATURE_WEBHOOK_BYTES], line[200], id[40];
    struct span span = {body, body_len};
    snprintf(id, sizeof id, "bench-%ld", number);
    signer_hex(signer, span, hex);
    signer_webhook(signer, span_of(id), 1700000000, span, webhook);
    struct curl_slist *list = curl_slist_append(NULL, "Content-Type: application/json");
    list = curl_slist_append(list, "Expect:");
    snprintf(line, sizeof line, "X-ESS-Signature: %s", hex);
    list = curl_slist_append(list, line);
    snprintf(line, sizeof line, "webhook-id: %s", id);
    list = curl_slist_append(list, line);
    snprintf(line, sizeof line, "webhook-signature: %s", webhook);
    return curl_slist_append(list, line);
}

static void start(CURLM *multi, CURL *easy, long number) {
    struct curl_slist *old = NULL, *list = sign(number);
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &old);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, list);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, list);
    curl_slist_free_all(old);
    curl_multi_add_handle(multi, easy);
}

static CURL *new_post(const char *url, const char *ca) {
    CURL *easy = curl_easy_init();
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_CAINFO, ca);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, discard);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)body_len);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
    return easy;
}

static int run_bare(CURLM *multi, long count, long started) {
    long done = 0;
    int running, left;
    while (done < count) {
        curl_multi_perform(multi, &running);
        for (CURLMsg *message; (message = curl_multi_info_read(multi, &left));) {
            CURL *easy = message->easy_handle;
            long status = 0;
            curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
            if (message->data.result || status != 200)
                return fail(curl_easy_strerror(message->data.result));
            curl_multi_remove_handle(multi, easy);
            done++;
            if (started < count)
                start(multi, easy, started++);
        }
        curl_multi_poll(multi, NULL, 0, 1000, NULL);
    }
    return 0;
}

static int bare(const char *url, const char *ca, long count, long in_flight, size_t bytes) {
    struct error err;
    struct rusage usage;
    CURLM *multi = curl_multi_init();
    long started = 0;
    signer = signer_new("s3cr3t", &err);
    body = malloc(body_len = bytes);
    memset(body, 'x', bytes);
    int64_t began = clock_us();
    while (started < in_flight && started < count && started < IN_FLIGHT_MAX)
        start(multi, new_post(url, ca), started++);
    if (run_bare(multi, count, started))
        return 1;
    double seconds = (double)(clock_us() - began) / 1e6;
    getrusage(RUSAGE_SELF, &usage);
    double cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                 (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    printf("sent=%ld seconds=%.3f per_sec=%.0f cpu_us_each=%.1f\n", count, seconds,
           (double)count / seconds, cpu * 1e6 / (double)count);
    return 0;
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    curl_global_init(CURL_GLOBAL_DEFAULT);
    if (strcmp(what, "receive") == 0 && (argc == 6 || argc == 7)) {
        count_wanted = strtol(argv[4], NULL, 10);
        fail_percent = argc == 7 ? strtol(argv[6], NULL, 10) : 0;
        return receive(argv[2], argv[3], strtol(argv[5], NULL, 10));
    }
    if (strcmp(what, "bare") == 0 && argc == 7)
        return bare(argv[2], argv[3], strtol(argv[4], NULL, 10), strtol(argv[5], NULL, 10),
                    (size_t)strtol(argv[6], NULL, 10));
    return fail(
        "usage: receive CERT KEY COUNT SECONDS [FAILS] | bare URL CA COUNT IN_FLIGHT BYTES");
}
