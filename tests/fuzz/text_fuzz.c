/* The small things that people write: times, durations, addresses, URLs, secrets. What is taken is
 * written as it is read. */
#include "common/access/principal.h"
#include "common/base/clock.h"
#include "common/crypto/base64.h"
#include "common/crypto/seal.h"
#include "common/crypto/signature.h"
#include "common/net/url.h"
#include "fuzz.h"

static void check_times(struct span text) {
    char out[CLOCK_TEXT_BYTES];
    int64_t ms, again;
    if (clock_parse(text.data, text.len, &ms) == 0) {
        clock_format(ms, out);
        MUST(clock_parse(out, strlen(out), &again) == 0);
    }
    if (clock_parse_duration(text.data, text.len, &ms) == 0) {
        clock_format_duration(ms, out);
        MUST(clock_parse_duration(out, strlen(out), &again) == 0 && again == ms);
    }
}

static void check_addresses(const char *text) {
    static const struct cidr everywhere = {.bits = 0};
    struct cidr cidr;
    struct sockaddr_storage address;
    struct error err;
    if (cidr_parse(text, &cidr, &err) == 0)
        MUST(cidr.bits <= 128);
    if (address_from_literal(text, &address))
        address_allowed((const struct sockaddr *)&address, NULL, 0);
    if (url_check("url", text, NULL, 0, &err) == 0)
        MUST(url_check("url", text, &everywhere, 1, &err) == 0);
}

static void check_secrets(struct span text, const char *string) {
    unsigned char *decoded = mem_alloc(text.len + 3), digest[PRINCIPAL_DIGEST_BYTES];
    struct buf out = {0};
    struct error err;
    long len = base64_decode(text, decoded);
    if (len > 0) {
        base64_put(&out, decoded, (size_t)len);
        MUST(out.len == text.len && memcmp(out.data, text.data, out.len / 4 * 4 - 4) ==
                                        0); /* of the last four some bits say nothing */
    }
    buf_clear(&out);
    if (signature_whsec(string, &out, &err) == 0) {
        struct buf again = {0};
        MUST(signature_whsec(buf_string(&out), &again, &err) == 0 &&
             span_equal(content(&out), content(&again)));
        buf_fini(&again);
    }
    if (principal_digest_parse(text, digest) == 0)
        MUST(text.len == 2 * PRINCIPAL_DIGEST_BYTES);
    buf_fini(&out);
    free(decoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct span text = bytes(data, size);
    char *string = mem_copy_string(text.data, text.len);
    check_times(text);
    check_addresses(string);
    check_secrets(text, string);
    free(string);
    return 0;
}
