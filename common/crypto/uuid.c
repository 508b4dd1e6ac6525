/* UUIDs; see uuid.h. */
#include "common/crypto/uuid.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static void format_uuid(unsigned char bytes[16], unsigned version, char out[37]) {
    static const char digits[] = "0123456789abcdef";
    char *p = out;
    bytes[6] = (unsigned char)((bytes[6] & 0x0f) | (version << 4));
    bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80);
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *p++ = '-';
        *p++ = digits[bytes[i] >> 4];
        *p++ = digits[bytes[i] & 15];
    }
    *p = 0;
}

void uuid_v7(int64_t wall_ms, const unsigned char random[10], char out[37]) {
    unsigned char bytes[16];
    for (int i = 0; i < 6; i++)
        bytes[i] = (unsigned char)((uint64_t)wall_ms >> (40 - 8 * i));
    memcpy(bytes + 6, random, 10);
    format_uuid(bytes, 7, out);
}

bool uuid_check(const char *text) {
    for (int i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (!text[i] || !strchr(dash ? "-" : "0123456789abcdef", text[i]))
            return false;
    }
    return !text[36];
}

void uuid_v4(char out[37]) {
    unsigned char bytes[16];
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        abort();
    format_uuid(bytes, 4, out);
}
