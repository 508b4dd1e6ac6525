/* auth.file: what is taken has tokens that are found by their hash and by nothing else; what is
 * refused is told with a line. */
#include <ctype.h>

#include "common/access/grant.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct grants grants;
    struct error err;
    if (grants_from_yaml(&grants, bytes(data, size), &err)) {
        MUST(isdigit((unsigned char)err.message[0]) &&
             err.message[strspn(err.message, "0123456789")] == ':');
        return 0;
    }
    for (size_t i = 0; i < grants.count; i++) {
        unsigned char other[GRANT_DIGEST_BYTES];
        MUST(grants_find(&grants, grants.items[i]->digest) == grants.items[i]);
        MUST(grants.items[i]->scopes_count >= 1 && *grants.items[i]->name);
        grant_digest((struct span){(const char *)grants.items[i]->digest, GRANT_DIGEST_BYTES},
                     other);
        MUST(grants_find(&grants, other) != grants.items[i]);
    }
    grants_fini(&grants);
    return 0;
}
