/* libcurl's easy handles; see handle.h. */
#include "dispatcher/channel/handle.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/net/address.h"

static void handle_forget_url(struct handle *handle) {
    free(handle->url);
    curl_free(handle->host);
    curl_free(handle->port);
    handle->url = handle->host = handle->port = NULL;
}

static void handle_free(struct handle *handle) {
    curl_easy_cleanup(handle->easy);
    handle_forget_url(handle);
    free(handle);
}

void handle_set_url(struct handle *handle, const char *text) {
    if (handle->url && strcmp(handle->url, text) == 0)
        return;
    handle_forget_url(handle);
    CURLU *url = curl_url();
    if (!url || curl_url_set(url, CURLUPART_URL, text, 0) ||
        curl_url_get(url, CURLUPART_HOST, &handle->host, 0) ||
        curl_url_get(url, CURLUPART_PORT, &handle->port, CURLU_DEFAULT_PORT))
        abort(); /* the URL was checked at registration */
    curl_url_cleanup(url);
    curl_easy_setopt(handle->easy, CURLOPT_URL, text);
    handle->url = mem_copy_string(text, strlen(text));
    address_from_literal(handle->host, &handle->literal);
}

void handle_sign(struct handle *handle, const struct https_sigv4 *sigv4) {
    CURL *easy = handle->easy;
    curl_easy_setopt(easy, CURLOPT_AWS_SIGV4, sigv4 ? sigv4->scope : NULL);
    curl_easy_setopt(easy, CURLOPT_HTTPAUTH, sigv4 ? CURLAUTH_AWS_SIGV4 : CURLAUTH_BASIC);
    curl_easy_setopt(easy, CURLOPT_USERNAME, sigv4 ? sigv4->access_key_id : NULL);
    curl_easy_setopt(easy, CURLOPT_PASSWORD, sigv4 ? sigv4->secret_access_key : NULL);
    handle->signs = sigv4;
}

struct handle *handles_take(struct handles *handles, void (*make)(void *, CURL *), void *arg) {
    if (handles->count)
        return handles->spare[--handles->count];
    CURL *easy = curl_easy_init();
    if (!easy)
        return NULL;
    struct handle *handle = mem_zero(sizeof *handle);
    handle->easy = easy;
    make(arg, easy);
    return handle;
}

void handles_keep(struct handles *handles, struct handle *handle) {
    if (!handle)
        return;
    if (handle->signs)
        handle_sign(handle, NULL);
    handshake_set(&handle->handshake, handle->easy, NULL);
    curl_easy_setopt(handle->easy, CURLOPT_ERRORBUFFER, NULL);
    if (handles->count < HANDLES_MAX)
        handles->spare[handles->count++] = handle;
    else
        handle_free(handle);
}

void handles_fini(struct handles *handles) {
    while (handles->count)
        handle_free(handles->spare[--handles->count]);
}
