/* Answers of token servers; see oauth2_answer.h. */
#include "dispatcher/channel/oauth2_answer.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/base/number.h"
#include "common/json/body.h"

/* The codes of RFC 6749, 5.2 and 4.1.2.1, and of RFC 8707. */
static const char *oauth2_known_code(const char *text) {
    static const char *const codes[] = {
        "invalid_request",        "invalid_client",         "invalid_grant",  "unauthorized_client",
        "unsupported_grant_type", "invalid_scope",          "invalid_target", "access_denied",
        "server_error",           "temporarily_unavailable"};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strcmp(codes[i], text) == 0)
            return codes[i];
    return NULL;
}

static int oauth2_fail(char error[OAUTH2_ERROR_BYTES], const char *reason) {
    snprintf(error, OAUTH2_ERROR_BYTES, "%s", reason);
    return -1;
}

static int oauth2_refused(int status, struct span text, char error[OAUTH2_ERROR_BYTES]) {
    struct body body;
    struct error ignored;
    char code[64] = "";
    if (text.len && text.len <= OAUTH2_ANSWER_BYTES_MAX &&
        body_parse(&body, text, NULL, &ignored) == 0)
        body_text(&body, "error", code, sizeof code, "a code", &ignored);
    const char *known = oauth2_known_code(code);
    snprintf(error, OAUTH2_ERROR_BYTES, "status %d%s%s", status, known ? ": " : "",
             known ? known : "");
    return -1;
}

static int oauth2_check_type(const struct body *body, char error[OAUTH2_ERROR_BYTES]) {
    struct error ignored;
    char type[16] = "";
    if (body_text(body, "token_type", type, sizeof type, "a type", &ignored) ||
        strcasecmp(type, "Bearer") != 0)
        return oauth2_fail(error, "its answer's token_type is not Bearer");
    return 0;
}

static int oauth2_read_token(const struct body *body, char token[OAUTH2_TOKEN_BYTES_MAX + 1],
                             char error[OAUTH2_ERROR_BYTES]) {
    struct error ignored;
    if (!body_member(body, "access_token"))
        return oauth2_fail(error, "its answer has no access_token");
    if (body_text(body, "access_token", token, OAUTH2_TOKEN_BYTES_MAX + 1, "a token", &ignored) ||
        !*token)
        return oauth2_fail(error, "its answer's access_token is no text of 1 to 8192 bytes");
    for (const char *p = token; *p; p++)
        if (*p <= ' ' || *p > '~')
            return oauth2_fail(error, "its answer's access_token is not printable ASCII");
    return 0;
}

/* Some servers write the number as a text. */
static int oauth2_read_lifetime(const struct body *body, int64_t *lifetime_s,
                                char error[OAUTH2_ERROR_BYTES]) {
    const struct json_member *member = body_member(body, "expires_in");
    *lifetime_s = OAUTH2_LIFETIME_S;
    if (!member)
        return 0;
    struct span text = member->value;
    if (member->kind == JSON_IS_STRING)
        text = (struct span){text.data + 1, text.len - 2};
    int64_t seconds = number_parse(text);
    if (seconds <= 0)
        return oauth2_fail(error, "its answer's expires_in is no whole number of seconds above 0");
    *lifetime_s = seconds < OAUTH2_LIFETIME_S_MAX ? seconds : OAUTH2_LIFETIME_S_MAX;
    return 0;
}

int oauth2_answer_read(struct oauth2_answer *out, int status, struct span text,
                       char error[OAUTH2_ERROR_BYTES]) {
    struct body body;
    struct error ignored;
    *out = (struct oauth2_answer){0};
    if (status < 200 || status > 299)
        return oauth2_refused(status, text, error);
    if (text.len > OAUTH2_ANSWER_BYTES_MAX)
        return oauth2_fail(error, "its answer is larger than 16 KiB");
    if (text.len == 0 || body_parse(&body, text, NULL, &ignored))
        return oauth2_fail(error, "its answer is no JSON object");
    return oauth2_check_type(&body, error) || oauth2_read_token(&body, out->token, error) ||
                   oauth2_read_lifetime(&body, &out->lifetime_s, error)
               ? -1
               : 0;
}
