/* SipHash-2-4, 128 bits; see siphash.h. After the paper by Aumasson and Bernstein; tested against
 * OpenSSL's. */
#include "common/base/siphash.h"

#include <endian.h>
#include <string.h>

struct state {
    uint64_t a, b, c, d;
};

static uint64_t siphash_rotate(uint64_t x, int by) { return x << by | x >> (64 - by); }

static void siphash_rounds(struct state *s, int count) {
    while (count--) {
        s->a += s->b;
        s->c += s->d;
        s->b = siphash_rotate(s->b, 13) ^ s->a;
        s->d = siphash_rotate(s->d, 16) ^ s->c;
        s->a = siphash_rotate(s->a, 32);
        s->c += s->b;
        s->a += s->d;
        s->b = siphash_rotate(s->b, 17) ^ s->c;
        s->d = siphash_rotate(s->d, 21) ^ s->a;
        s->c = siphash_rotate(s->c, 32);
    }
}

static uint64_t word_at(const unsigned char *p) {
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return le64toh(word);
}

static void siphash_take(struct state *s, uint64_t word) {
    s->d ^= word;
    siphash_rounds(s, 2);
    s->a ^= word;
}

static uint64_t siphash_put(struct state *s) {
    siphash_rounds(s, 4);
    return s->a ^ s->b ^ s->c ^ s->d;
}

void siphash128(const unsigned char key[SIPHASH_KEY_BYTES], const void *data, size_t len,
                uint64_t out[2]) {
    const unsigned char *p = data;
    const uint64_t k0 = word_at(key), k1 = word_at(key + 8);
    struct state s = {k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d ^ 0xee,
                      k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573};
    uint64_t last = (uint64_t)len << 56;
    for (; len >= 8; p += 8, len -= 8)
        siphash_take(&s, word_at(p));
    for (size_t i = 0; i < len; i++)
        last |= (uint64_t)p[i] << (8 * i);
    siphash_take(&s, last);
    s.c ^= 0xee;
    out[0] = siphash_put(&s);
    s.b ^= 0xdd;
    out[1] = siphash_put(&s);
}
