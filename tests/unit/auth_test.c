/* Authorisation: by route, by topic, and by the subscriber of a call. */
#include "web_fixture.h"

enum { SUBSCRIBERS_MAX = 2 };

/* --- the routes' handlers */

static void answer_text(struct http_request *request, const char *text) {
    struct buf body = {0};
    buf_puts(&body, text);
    http_answer(request, 200, "text/plain", &body);
}

static void handle_open(void *arg, struct http_request *request) {
    (void)arg;
    answer_text(request, "open");
}

static void handle_publish(void *arg, struct http_request *request) {
    struct error err;
    if (auth_publish(arg, request, http_request_query(request, "topic"),
                     http_request_query(request, "id"), &err) == 0)
        answer_text(request, "published");
    else
        authenticator_refuse(request, &err);
}

/* Answers with the patterns that the principal may read. */
static void handle_read(void *arg, struct http_request *request) {
    struct error err;
    struct buf body = {0};
    struct subscription subscription = {0};
    if (http_request_query(request, "topic"))
        subscription_add(&subscription, http_request_query(request, "topic"));
    if (auth_read(arg, request, &subscription, &err)) {
        authenticator_refuse(request, &err);
    } else {
        buf_puts(&body, "reads");
        for (size_t i = 0; i < subscription.patterns_count; i++)
            buf_printf(&body, " %s", subscription.patterns[i]);
        http_answer(request, 200, "text/plain", &body);
    }
    subscription_fini(&subscription);
}

static void handle_register(void *arg, struct http_request *request) {
    struct error err, too_many;
    struct spec spec;
    world_spec(&spec, "new", http_request_query(request, "topic"));
    if (auth_register(arg, request, &spec, &err))
        authenticator_refuse(request, &err);
    else if (auth_registers_more(arg, request, &too_many))
        http_problem(request, 403, &too_many, NULL, 0);
    else
        answer_text(request, auth_registrant(arg, request));
    spec_fini(&spec);
}

static void handle_subscriber(void *arg, struct http_request *request) {
    struct ingest *ingest = arg;
    struct error err;
    const struct registry_entry *entry = registry_find(ingest->registry,
                                                       http_request_segment(request, 0));
    error_set(&err, "there is none that you may see");
    if (!entry || !auth_sees(ingest, request, entry))
        http_problem(request, 404, &err, NULL, 0);
    else
        answer_text(request, auth_owns(ingest, request, entry) ? "its own" : "seen");
}

static const struct http_route routes[] = {
    {"GET", "/open", handle_open, false, AUTHENTICATOR_OPEN},
    {"GET", "/admin", handle_open, false, AUTHENTICATOR_ADMIN},
    {"GET", "/forgotten", handle_open, false, AUTHENTICATOR_NO_RULE},
    {"GET", "/publish", handle_publish, false, AUTH_PUBLISH},
    {"GET", "/read", handle_read, false, AUTH_READ},
    {"GET", "/register", handle_register, false, AUTH_REGISTER},
    {"GET", "/subscribers/{id}", handle_subscriber, false, AUTH_SUBSCRIBER},
    {"PUT", "/subscribers/{id}", handle_subscriber, false, AUTH_REPLACE},
};

/* --- principals */

static void add_token(struct buf *yaml, const char *name, const char *scopes) {
    char hash[ACCESS_TOKEN_HASH_BYTES];
    access_token_hash(span_of(name), hash); /* the token equals its name */
    buf_printf(yaml, "  - {name: %s, sha256: %s, scopes: [%s]}\n", name, hash, scopes);
}

static void write_tokens(struct buf *yaml, bool with_vendor) {
    buf_puts(yaml, "tokens:\n");
    add_token(yaml, "ops", "admin");
    add_token(yaml, "engine", "\"publish:drug.*\"");
    add_token(yaml, "reader", "\"read:drug.*\", \"read:plan.copay\"");
    add_token(yaml, "rival", "\"register:drug.*\"");
    if (with_vendor)
        add_token(yaml, "vendor", "\"register:drug.*\"");
}

static int open_auth(void **state) {
    struct buf yaml = {0};
    world_open(state);
    world.ingest.service.settings.ingest.max_subscribers_per_token = SUBSCRIBERS_MAX;
    write_tokens(&yaml, true);
    web_open(routes, sizeof routes / sizeof *routes, buf_string(&yaml));
    buf_fini(&yaml);
    return 0;
}

static int open_everything(void **state) {
    world_open(state);
    web_open(routes, sizeof routes / sizeof *routes, NULL);
    return 0;
}

static int close_auth(void **state) {
    web_close();
    return world_close(state);
}

static const char *as(const char *token, const char *target) {
    return ask_as(token, "GET", target);
}

/* A subscriber with an access token of its own, "own-<id>", registered by the token `by`. */
static void add_subscriber(const char *id, const char *registration_id, const char *by,
                           const char *source, const char *topic) {
    struct subscriber_record record = {.start = 5};
    char token[80];
    snprintf(token, sizeof token, "own-%s", id);
    world_write_keys_of(id, registration_id, "abcdefghijklmnop", token);
    snprintf(record.by, sizeof record.by, "%s", by);
    world_write_record(record, id, registration_id, source, topic);
}

/* --- by the route */

static void test_without_a_file_everything_is_allowed_but_a_route_without_a_rule(void **state) {
    (void)state;
    assert_answer(as(NULL, "/admin"), 200, "open");
    assert_answer(as(NULL, "/publish?topic=drug.copay&id=x"), 200, "published");
    assert_answer(as(NULL, "/read"), 200, "reads *");
    assert_answer(as(NULL, "/register?topic=*"), 200, "\r\n\r\n");
    assert_answer(as(NULL, "/forgotten"), 403, "nobody may call this");
}

static void test_a_token_that_nobody_knows_opens_only_what_is_open(void **state) {
    (void)state;
    assert_answer(as(NULL, "/open"), 200, "open");
    assert_answer(as(NULL, "/read"), 401, "WWW-Authenticate");
    assert_answer(as("guess", "/read"), 401, "WWW-Authenticate");
    assert_answer(as("ops", "/forgotten"), 403, "nobody may call this");
}

static void test_each_route_wants_a_scope_of_its_kind(void **state) {
    (void)state;
    assert_answer(as("engine", "/admin"), 403, "lacks the scope admin");
    assert_answer(as("engine", "/read"), 403, "lacks the scope read:<pattern>");
    assert_answer(as("reader", "/publish?topic=drug.copay&id=x"), 403,
                  "lacks the scope publish:<pattern>");
    assert_answer(as("reader", "/subscribers/a"), 403, "lacks the scope register:<pattern>");
    assert_answer(as("ops", "/admin"), 200, "open");
    assert_answer(as("ops", "/publish?topic=drug.copay&id=x"), 200, "published");
    assert_answer(as("ops", "/read"), 200, "reads *");
}

/* --- by topics */

static void test_one_publishes_to_its_topics_only(void **state) {
    (void)state;
    assert_answer(as("engine", "/publish?topic=drug.copay&id=x"), 200, "published");
    assert_answer(as("engine", "/publish?topic=plan.copay&id=x"), 403,
                  "lacks the scope publish:plan.copay");
}

static void test_an_id_made_of_another_topic_is_not_to_be_taken(void **state) {
    (void)state;
    assert_answer(as("engine", "/publish?topic=drug.copay&id=plan/copay:7"), 403,
                  "the id belongs to the topic plan.copay");
    assert_answer(as("engine", "/publish?topic=drug.copay&id=drug/price:7"), 200, "published");
}

static void test_one_reads_its_topics_and_all_of_them_without_asking_for_any(void **state) {
    (void)state;
    assert_answer(as("reader", "/read?topic=drug.copay"), 200, "reads drug.copay");
    assert_answer(as("reader", "/read?topic=plan.copay"), 200, "reads plan.copay");
    assert_answer(as("reader", "/read?topic=plan.*"), 403, "lacks the scope read:plan.*");
    assert_answer(as("reader", "/read?topic=*"), 403, "lacks the scope read:*");
    assert_answer(as("reader", "/read"), 200, "reads drug.* plan.copay");
}

static void test_one_registers_what_is_within_its_topics(void **state) {
    (void)state;
    assert_answer(as("vendor", "/register?topic=drug.copay"), 200, "vendor");
    assert_answer(as("vendor", "/register?topic=*"), 403, "lacks the scope register:*");
    /* an admin's name is not kept */
    assert_answer(as("ops", "/register?topic=*"), 200, "\r\n\r\n");
}

static void test_one_registers_no_more_subscribers_than_it_may_have(void **state) {
    (void)state;
    add_subscriber("a", BORN_A, "vendor", "api", "drug.copay");
    assert_answer(as("vendor", "/register?topic=drug.copay"), 200, "vendor");
    add_subscriber("b", BORN_B, "vendor", "api", "drug.copay");
    assert_answer(as("vendor", "/register?topic=drug.copay"), 403, "already has 2 subscribers");
    assert_answer(as("rival", "/register?topic=drug.copay"), 200, "rival");
    assert_answer(as("ops", "/register?topic=drug.copay"), 200, "\r\n\r\n");
    world_write("b", "", NULL);
    assert_answer(as("vendor", "/register?topic=drug.copay"), 200, "vendor");
}

/* --- by the subscriber */

static void test_a_vendor_sees_its_own_and_an_admins_subscribers_of_its_topics(void **state) {
    (void)state;
    add_subscriber("mine", BORN_A, "vendor", "api", "drug.copay");
    add_subscriber("admins", BORN_A, "", "api", "drug.copay");
    add_subscriber("wide", BORN_A, "", "api", "*");
    add_subscriber("file", BORN_A, "", "subscribers/file.yml", "drug.copay");
    assert_answer(as("vendor", "/subscribers/mine"), 200, "its own");
    assert_answer(as("vendor", "/subscribers/admins"), 200, "seen");
    assert_answer(as("vendor", "/subscribers/wide"), 404, "that you may see");
    assert_answer(as("vendor", "/subscribers/file"), 404, "that you may see");
    assert_answer(as("rival", "/subscribers/mine"), 404, "that you may see");
    assert_answer(as("ops", "/subscribers/mine"), 200, "its own");
    assert_answer(as("ops", "/subscribers/file"), 200, "its own");
}

static void test_a_subscribers_token_opens_its_subscriber_and_no_other(void **state) {
    (void)state;
    add_subscriber("a", BORN_A, "vendor", "api", "drug.copay");
    add_subscriber("b", BORN_B, "vendor", "api", "drug.copay");
    assert_answer(as("own-a", "/subscribers/a"), 200, "its own");
    /* A foreign subscriber and an unknown one get the same answer. */
    assert_answer(as("own-a", "/subscribers/b"), 404, "there is no subscriber b");
    assert_answer(as("own-a", "/subscribers/c"), 404, "there is no subscriber c");
    assert_answer(ask_as("own-a", "PUT", "/subscribers/b"), 404, "there is no subscriber b");
}

static void test_a_subscribers_token_changes_publishes_and_registers_nothing(void **state) {
    (void)state;
    add_subscriber("a", BORN_A, "vendor", "api", "drug.copay");
    assert_answer(ask_as("own-a", "PUT", "/subscribers/a"), 403, "lacks the scope register");
    assert_answer(as("own-a", "/publish?topic=drug.copay&id=x"), 403, "lacks the scope publish");
    assert_answer(as("own-a", "/register?topic=drug.copay"), 403, "lacks the scope register");
    assert_answer(as("own-a", "/admin"), 403, "lacks the scope admin");
}

static void test_a_subscribers_token_reads_the_topics_that_its_spec_has_now(void **state) {
    (void)state;
    add_subscriber("a", BORN_A, "", "api", "drug.copay");
    assert_answer(as("own-a", "/read"), 200, "reads drug.copay");
    assert_answer(as("own-a", "/read?topic=plan.copay"), 403, "lacks the scope read:plan.copay");
    world_write_spec("a", BORN_A, "api", "plan.*", false);
    assert_answer(as("own-a", "/read"), 200, "reads plan.*");
    assert_answer(as("own-a", "/read?topic=drug.copay"), 403, "lacks the scope read:drug.copay");
}

static void test_a_subscribers_token_ends_with_its_registration(void **state) {
    (void)state;
    add_subscriber("a", BORN_A, "", "api", "drug.copay");
    assert_answer(as("own-a", "/subscribers/a"), 200, "its own");
    /* the id belongs to another registration */
    world_write_spec("a", BORN_B, "api", "drug.copay", false);
    assert_answer(as("own-a", "/subscribers/a"), 401, "WWW-Authenticate");
    world_write("a", "", NULL);
    assert_answer(as("own-a", "/read"), 401, "WWW-Authenticate");
}

static void test_while_subscribers_may_be_unread_an_unknown_token_gets_503(void **state) {
    (void)state;
    add_subscriber("a", BORN_A, "", "api", "drug.copay");
    world.ingest.service.kafka_up = false;
    assert_answer(as("own-a", "/subscribers/a"), 200, "its own"); /* known already */
    /* the token's record may not have been read yet */
    assert_answer(as("guess", "/subscribers/a"), 503, "Retry-After");
    assert_answer(as("reader", "/read"), 200, "reads drug.*"); /* a token of the file */
    world.ingest.service.starting_over = true;
    assert_answer(as("own-a", "/subscribers/a"), 503, "Retry-After");
    world.ingest.service.kafka_up = true;
    world.ingest.service.starting_over = false;
}

/* --- the file changes */

static void test_a_token_that_is_taken_out_of_the_file_is_refused_within_seconds(void **state) {
    struct buf yaml = {0};
    (void)state;
    assert_answer(as("vendor", "/register?topic=drug.copay"), 200, "vendor");
    write_tokens(&yaml, false);
    web_write_auth(buf_string(&yaml));
    world_pass(5000);
    assert_answer(as("vendor", "/register?topic=drug.copay"), 401, "WWW-Authenticate");
    assert_answer(as("rival", "/register?topic=drug.copay"), 200, "rival");
    buf_fini(&yaml);
}

static void test_a_bad_file_leaves_the_last_good_one_in_force(void **state) {
    (void)state;
    web_write_auth("tokens: [{name: ops}]\n");
    world_pass(5000);
    assert_answer(as("ops", "/admin"), 200, "open");
    assert_answer(as("guess", "/admin"), 401, "WWW-Authenticate");
}

#define auth_test(f) cmocka_unit_test_setup_teardown(f, open_auth, close_auth)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_without_a_file_everything_is_allowed_but_a_route_without_a_rule, open_everything,
            close_auth),
        auth_test(test_a_token_that_nobody_knows_opens_only_what_is_open),
        auth_test(test_each_route_wants_a_scope_of_its_kind),
        auth_test(test_one_publishes_to_its_topics_only),
        auth_test(test_an_id_made_of_another_topic_is_not_to_be_taken),
        auth_test(test_one_reads_its_topics_and_all_of_them_without_asking_for_any),
        auth_test(test_one_registers_what_is_within_its_topics),
        auth_test(test_one_registers_no_more_subscribers_than_it_may_have),
        auth_test(test_a_vendor_sees_its_own_and_an_admins_subscribers_of_its_topics),
        auth_test(test_a_subscribers_token_opens_its_subscriber_and_no_other),
        auth_test(test_a_subscribers_token_changes_publishes_and_registers_nothing),
        auth_test(test_a_subscribers_token_reads_the_topics_that_its_spec_has_now),
        auth_test(test_a_subscribers_token_ends_with_its_registration),
        auth_test(test_while_subscribers_may_be_unread_an_unknown_token_gets_503),
        auth_test(test_a_token_that_is_taken_out_of_the_file_is_refused_within_seconds),
        auth_test(test_a_bad_file_leaves_the_last_good_one_in_force),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
