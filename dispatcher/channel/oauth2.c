/* Access tokens; see oauth2.h. */
#include "dispatcher/channel/oauth2.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "common/base/clock.h"
#include "common/model/oauth2_grant.h"
#include "dispatcher/channel/https_post.h"
#include "dispatcher/channel/signing.h"

enum {
    MARGIN_MS = 30000,  /* a token is not used in its last seconds */
    RENEWAL_MS = 30000, /* how old a token must be to be fetched again after a second 401 */
    MARK_BYTES = 8,
    EXCERPT_BYTES = 128
};

static const char refused[] = "the endpoint refused the access token (status 401)",
                  changed[] = "the subscriber was changed meanwhile";

struct oauth2_post {
    struct oauth2 *oauth2;
    struct https_request request;
    struct https_post *https;  /* NULL: waits for a token, or `soon` reports */
    uint64_t number;           /* of the token that the request was sent with; 0: without */
    uint64_t fetch;            /* the fetch waited for; 0: none */
    char mark[MARK_BYTES + 1]; /* the beginning of the token */
    struct loop_timer soon;
    struct oauth2_post *prev, *next; /* while waiting */
};

static void oauth2_post_free(struct oauth2_post *post) {
    loop_timer_clear(post->oauth2->loop, &post->soon);
    if (post->fetch)
        DL_DELETE(post->oauth2->waiting, post);
    curl_slist_free_all(post->request.headers);
    free(post);
}

static void oauth2_report(struct oauth2_post *post, const struct https_result *result) {
    post->request.done(post->request.arg, result);
    oauth2_post_free(post);
}

static void oauth2_drop_token(struct oauth2 *o) {
    mem_wipe_string(o->token);
    o->token = NULL;
}

/* --- a request's end */

/* The endpoint refused the request's token. A delivery learns of it once; an endpoint that refuses
 * every token would else cost a fetch a request. Returns whether the attempt is made again. */
static bool oauth2_refuse(struct oauth2 *o, const struct oauth2_post *post) {
    bool old = clock_ms() - o->fetched_ms >= RENEWAL_MS;
    if (post->number == o->number && (!post->request.fresh || old))
        oauth2_drop_token(o);
    return !post->request.fresh;
}

/* Ends an excerpt where it repeats the token: it is kept and shown. */
static const char *oauth2_without_token(const struct oauth2_post *post, const char *excerpt,
                                        char out[EXCERPT_BYTES]) {
    char *found;
    if (!excerpt || !post->number)
        return excerpt;
    snprintf(out, EXCERPT_BYTES, "%s", excerpt);
    if ((found = strstr(out, post->mark)))
        *found = 0;
    return out;
}

static void oauth2_on_done(void *arg, const struct https_result *found) {
    struct oauth2_post *post = arg;
    struct https_result result = *found;
    char excerpt[EXCERPT_BYTES];
    result.excerpt = oauth2_without_token(post, found->excerpt, excerpt);
    if (result.status == 401 && post->number && oauth2_refuse(post->oauth2, post)) {
        result.status = 0;
        result.stale = true;
        result.error = refused;
    }
    oauth2_report(post, &result);
}

/* --- sending */

static void oauth2_add_token(struct oauth2 *o, struct oauth2_post *post) {
    struct buf value = {0};
    buf_printf(&value, "Bearer %s", o->token);
    post->request.headers = signing_add(post->request.headers, "Authorization", buf_string(&value));
    post->number = o->number;
    snprintf(post->mark, sizeof post->mark, "%s", o->token);
    buf_wipe(&value);
}

/* The spec may have changed since the request was made, but not in its endpoint. */
static void oauth2_post_send(struct oauth2_post *post) {
    struct oauth2 *o = post->oauth2;
    if (post->fetch)
        DL_DELETE(o->waiting, post);
    post->fetch = 0;
    if (o->spec->oauth2)
        oauth2_add_token(o, post);
    struct https_request request = post->request;
    request.url = o->spec->url;
    request.tls = o->spec->tls;
    request.done = oauth2_on_done;
    request.arg = post;
    post->request.headers = NULL; /* handed over */
    post->https = https_send(o->client, &request);
}

/* --- the token */

static void oauth2_serve(struct oauth2 *o) {
    struct oauth2_post *post, *next;
    DL_FOREACH_SAFE(o->waiting, post, next) {
        oauth2_post_send(post);
    }
}

/* Reports the result to all requests that wait for the current fetch. A `done` callback may send
 * again, which begins another fetch, or cancel other requests. */
static void oauth2_fail(struct oauth2 *o, const struct https_result *result) {
    const uint64_t fetch = o->fetches;
    while (o->waiting && o->waiting->fetch == fetch)
        oauth2_report(o->waiting, result);
}

static void oauth2_take(struct oauth2 *o, const struct oauth2_answer *answer) {
    oauth2_drop_token(o);
    o->token = mem_copy_string(answer->token, strlen(answer->token));
    o->number++;
    o->until_ms = o->fetched_ms + answer->lifetime_s * 1000 - MARGIN_MS;
    oauth2_serve(o);
}

static void oauth2_fetch(struct oauth2 *o, bool fresh);

static void oauth2_on_answer(void *arg, const struct https_result *found) {
    struct oauth2 *o = arg;
    struct oauth2_answer answer = {0};
    char reason[OAUTH2_ERROR_BYTES] = "", error[OAUTH2_FAILURE_BYTES];
    struct https_result result = {.fault = found->fault,
                                  .alone = found->alone,
                                  .unsent = true,
                                  .retry_after_ms = found->retry_after_ms,
                                  .duration_ms = found->duration_ms,
                                  .error = error};
    o->fetch = NULL;
    buf_fini(&o->form);
    if (found->stale && !o->fresh) {
        oauth2_fetch(o, true);
        return;
    }
    if (found->status && oauth2_answer_read(&answer, found->status, found->answer, reason) == 0) {
        oauth2_take(o, &answer);
    } else {
        snprintf(error, sizeof error, "token server: %s", found->status ? reason : found->error);
        oauth2_fail(o, &result);
    }
    explicit_bzero(&answer, sizeof answer);
}

static struct curl_slist *oauth2_headers(const struct oauth2_grant *grant) {
    struct buf authorization = {0};
    struct curl_slist *list = signing_add(NULL, "Content-Type",
                                          "application/x-www-form-urlencoded");
    list = signing_add(list, "Accept", "application/json");
    list = curl_slist_append(list, "Expect:");
    oauth2_grant_put_authorization(grant, &authorization);
    list = signing_add(list, "Authorization", buf_string(&authorization));
    buf_wipe(&authorization);
    return list;
}

/* The token server is called like an endpoint, but without the endpoint's `tls`. */
static void oauth2_fetch(struct oauth2 *o, bool fresh) {
    const struct oauth2_grant *grant = o->spec->oauth2;
    oauth2_grant_put_form(grant, &o->form);
    const struct https_request request = {
        .url = grant->token_url,
        .headers = oauth2_headers(grant),
        .body = {o->form.data, o->form.len},
        .answer_max = OAUTH2_ANSWER_BYTES_MAX + 1,
        .timeout_ms = o->spec->timeout_ms >= 0 ? o->spec->timeout_ms : o->timeout_ms,
        .fresh = fresh,
        .done = oauth2_on_answer,
        .arg = o,
    };
    o->fresh = fresh;
    o->fetched_ms = clock_ms();
    o->fetch = https_send(o->client, &request);
}

static void oauth2_wait(struct oauth2_post *post) {
    struct oauth2 *o = post->oauth2;
    if (!o->fetch) {
        o->fetches++;
        oauth2_fetch(o, false);
    }
    post->fetch = o->fetches;
    DL_APPEND(o->waiting, post);
}

/* --- the whole */

static void oauth2_on_soon(void *arg) {
    const struct https_result result = {.stale = true, .error = changed};
    oauth2_report(arg, &result);
}

struct oauth2_post *oauth2_send(struct oauth2 *o, const struct https_request *request) {
    struct oauth2_post *post = mem_alloc(sizeof *post);
    *post = (struct oauth2_post){.oauth2 = o, .request = *request};
    loop_timer_init(&post->soon, oauth2_on_soon, post);
    if (o->spec->oauth2 && (!o->token || clock_ms() >= o->until_ms))
        oauth2_wait(post);
    else
        oauth2_post_send(post);
    return post;
}

void oauth2_cancel(struct oauth2_post *post) {
    if (post->https)
        https_cancel(post->https);
    oauth2_post_free(post);
}

static void oauth2_end_fetch(struct oauth2 *o) {
    if (o->fetch)
        https_cancel(o->fetch);
    o->fetch = NULL;
    buf_fini(&o->form);
}

void oauth2_forget(struct oauth2 *o) {
    oauth2_end_fetch(o);
    oauth2_drop_token(o);
    while (o->waiting) {
        struct oauth2_post *post = o->waiting;
        DL_DELETE(o->waiting, post);
        post->fetch = 0;
        loop_timer_set(o->loop, &post->soon, clock_ms());
    }
}

void oauth2_fini(struct oauth2 *o) {
    oauth2_end_fetch(o);
    oauth2_drop_token(o);
}

void oauth2_init(struct oauth2 *o, struct https_client *client, struct loop *loop,
                 const struct spec *spec, int64_t timeout_ms) {
    *o = (struct oauth2){.client = client, .loop = loop, .spec = spec, .timeout_ms = timeout_ms};
}
