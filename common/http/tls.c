/* Certificates for libmicrohttpd's GnuTLS; see tls.h. A running handshake may still use a replaced
 * pair, which is kept for the longest handshake time. */
#include <gnutls/abstract.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <utlist.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/http/http_internal.h"

enum { CHAIN_MAX = 16, FILE_BYTES_MAX = 256 * 1024, KEEP_MS = 2 * 60 * 60 * 1000 };

struct pair {
    gnutls_pcert_st chain[CHAIN_MAX];
    unsigned chain_count;
    gnutls_privkey_t key;
    int64_t replaced_ms;
    struct pair *next;
};

struct tls {
    const char *certificate, *key;
    struct file_watch certificate_watch, key_watch;
    struct pair *pairs; /* the first is current */
    void (*reloaded)(void *arg, const struct error *err);
    void *arg;
};

static struct tls *in_force;

static void pair_free(struct pair *pair) {
    for (unsigned i = 0; i < pair->chain_count; i++)
        gnutls_pcert_deinit(&pair->chain[i]);
    if (pair->key)
        gnutls_privkey_deinit(pair->key);
    free(pair);
}

static gnutls_datum_t tls_datum(const struct buf *text) {
    return (gnutls_datum_t){(unsigned char *)text->data, (unsigned)text->len};
}

/* Whether the key belongs to the certificate. */
static int check_fit(const gnutls_datum_t *certificate, const gnutls_datum_t *key) {
    gnutls_certificate_credentials_t scratch;
    int result = gnutls_certificate_allocate_credentials(&scratch);
    if (result < 0)
        return result;
    result = gnutls_certificate_set_x509_key_mem(scratch, certificate, key, GNUTLS_X509_FMT_PEM);
    gnutls_certificate_free_credentials(scratch);
    return result < 0 ? result : 0;
}

/* Returns NULL with the reason. */
static struct pair *pair_read(const struct tls *tls, const struct buf *certificate_text,
                              const struct buf *key_text, struct error *err) {
    const gnutls_datum_t certificate = tls_datum(certificate_text), key = tls_datum(key_text);
    struct pair *pair = mem_zero(sizeof *pair);
    pair->chain_count = CHAIN_MAX;
    int result = gnutls_pcert_list_import_x509_raw(pair->chain, &pair->chain_count, &certificate,
                                                   GNUTLS_X509_FMT_PEM, 0);
    if (result < 0) {
        error_set(err, "%s: is not a certificate in PEM: %s", tls->certificate,
                  gnutls_strerror(result));
        free(pair);
        return NULL;
    }
    if ((result = gnutls_privkey_init(&pair->key)) < 0 ||
        (result = gnutls_privkey_import_x509_raw(pair->key, &key, GNUTLS_X509_FMT_PEM, NULL, 0)) <
            0)
        error_set(err, "%s: is not a private key in PEM: %s", tls->key, gnutls_strerror(result));
    else if ((result = check_fit(&certificate, &key)) < 0)
        error_set(err, "%s: is not the key of %s: %s", tls->key, tls->certificate,
                  gnutls_strerror(result));
    if (result >= 0)
        return pair;
    pair_free(pair);
    return NULL;
}

static int read_files(const struct tls *tls, struct buf *certificate, struct buf *key,
                      struct error *err) {
    if (file_read(tls->certificate, FILE_BYTES_MAX, certificate, err))
        return error_prefix(err, "%s: ", tls->certificate);
    return file_read(tls->key, FILE_BYTES_MAX, key, err) ? error_prefix(err, "%s: ", tls->key) : 0;
}

static int tls_use(struct tls *tls, const struct buf *certificate, const struct buf *key,
                   struct error *err) {
    struct pair *pair = pair_read(tls, certificate, key, err);
    if (!pair)
        return -1;
    if (tls->pairs)
        tls->pairs->replaced_ms = clock_ms();
    LL_PREPEND(tls->pairs, pair);
    return 0;
}

static void tls_forget_old(struct tls *tls) {
    struct pair *pair, *next;
    LL_FOREACH_SAFE(tls->pairs->next, pair, next) {
        if (clock_ms() - pair->replaced_ms < KEEP_MS)
            continue;
        LL_DELETE(tls->pairs, pair);
        pair_free(pair);
    }
}

static void tls_on_changed(void *arg, struct span content, const struct error *unreadable) {
    struct tls *tls = arg;
    struct buf certificate = {0}, key = {0};
    struct error err;
    (void)content, (void)unreadable; /* either file may have changed */
    int result = read_files(tls, &certificate, &key, &err) || tls_use(tls, &certificate, &key, &err)
                     ? -1
                     : 0;
    buf_wipe(&certificate);
    buf_wipe(&key);
    if (result == 0)
        tls_forget_old(tls);
    tls->reloaded(tls->arg, result ? &err : NULL);
}

static void tls_watch(struct tls *tls, struct loop *loop, struct file_watch *file, const char *path,
                      const struct buf *text) {
    file_watch_init(file, loop, path, FILE_BYTES_MAX, (struct span){text->data, text->len},
                    tls_on_changed, tls);
}

struct tls *tls_new(struct loop *loop, const char *certificate, const char *key,
                    void (*reloaded)(void *, const struct error *), void *arg, struct error *err) {
    struct buf certificate_text = {0}, key_text = {0};
    struct tls *tls = mem_zero(sizeof *tls);
    *tls = (struct tls){.certificate = certificate, .key = key, .reloaded = reloaded, .arg = arg};
    int result = read_files(tls, &certificate_text, &key_text, err) ||
                         tls_use(tls, &certificate_text, &key_text, err)
                     ? -1
                     : 0;
    if (result == 0) {
        tls_watch(tls, loop, &tls->certificate_watch, certificate, &certificate_text);
        tls_watch(tls, loop, &tls->key_watch, key, &key_text);
        in_force = tls;
    }
    buf_wipe(&certificate_text);
    buf_wipe(&key_text);
    if (result == 0)
        return tls;
    free(tls);
    return NULL;
}

void tls_free(struct tls *tls) {
    struct pair *pair, *next;
    if (!tls)
        return;
    in_force = NULL;
    file_watch_fini(&tls->certificate_watch);
    file_watch_fini(&tls->key_watch);
    LL_FOREACH_SAFE(tls->pairs, pair, next)
        pair_free(pair);
    free(tls);
}

int tls_retrieve(gnutls_session_t session, const gnutls_datum_t *ca, int ca_count,
                 const gnutls_pk_algorithm_t *algorithms, int algorithms_count,
                 gnutls_pcert_st **chain, unsigned *chain_count, gnutls_privkey_t *key) {
    struct pair *pair = in_force->pairs;
    (void)session, (void)ca, (void)ca_count, (void)algorithms, (void)algorithms_count;
    *chain = pair->chain;
    *chain_count = pair->chain_count;
    *key = pair->key;
    return 0;
}
