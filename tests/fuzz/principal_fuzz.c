/* auth.file: what is taken has tokens that are found by their hash and by nothing else; what is
 * refused is told with a line. */
#include <ctype.h>

#include "common/access/principal.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct principals principals;
    struct error err;
    if (principals_from_yaml(&principals, bytes(data, size), &err)) {
        MUST(isdigit((unsigned char)err.message[0]) &&
             err.message[strspn(err.message, "0123456789")] == ':');
        return 0;
    }
    for (size_t i = 0; i < principals.count; i++) {
        unsigned char other[PRINCIPAL_DIGEST_BYTES];
        MUST(principals_find(&principals, principals.items[i]->digest) == principals.items[i]);
        MUST(principals.items[i]->scopes_count >= 1 && *principals.items[i]->name);
        principal_digest(
            (struct span){(const char *)principals.items[i]->digest, PRINCIPAL_DIGEST_BYTES},
            other);
        MUST(principals_find(&principals, other) != principals.items[i]);
    }
    principals_fini(&principals);
    return 0;
}
