/* Retry-After as an endpoint may send it, through libcurl and into the wait before the next
 * attempt: never beyond the limits, never without a wait. */
#include <curl/curl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dispatcher/lane/retry.h"
#include "fuzz.h"

enum { MIN_MS = 1000, MAX_MS = 3600 * 1000 };

static curl_socket_t give(void *arg, curlsocktype purpose, struct curl_sockaddr *address) {
    (void)purpose, (void)address;
    return *(int *)arg;
}

static int is_connected(void *arg, curl_socket_t fd, curlsocktype purpose) {
    (void)arg, (void)fd, (void)purpose;
    return CURL_SOCKOPT_ALREADY_CONNECTED;
}

static curl_off_t retry_after(struct span answer) {
    curl_off_t seconds = 0;
    int fds[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    MUST(write(fds[1], answer.data, answer.len) == (ssize_t)answer.len &&
         shutdown(fds[1], SHUT_WR) == 0);
    CURL *easy = curl_easy_init();
    curl_easy_setopt(easy, CURLOPT_URL, "http://127.0.0.1/");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 1000L);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, give);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, &fds[0]);
    curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, is_connected);
    if (curl_easy_perform(easy) == CURLE_OK)
        curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &seconds);
    curl_easy_cleanup(easy); /* closes its end */
    close(fds[1]);
    return seconds;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct buf answer = {0};
    buf_puts(&answer, "HTTP/1.1 503 No\r\nContent-Length: 0\r\nRetry-After: ");
    buf_append(&answer, data, size < 4096 ? size : 4096);
    buf_puts(&answer, "\r\n\r\n");
    curl_off_t seconds = retry_after(content(&answer));
    MUST(seconds >= 0);
    int64_t asked_ms = seconds < INT32_MAX ? (int64_t)seconds * 1000 : INT32_MAX,
            wait_ms = retry_wait_ms(MIN_MS, MAX_MS, 1, asked_ms, 0);
    MUST(wait_ms >= MIN_MS / 2 && wait_ms <= MAX_MS && (wait_ms >= asked_ms || wait_ms == MAX_MS));
    buf_fini(&answer);
    return 0;
}
