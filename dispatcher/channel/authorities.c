/* Certificates to trust besides the system's; see authorities.h. */
#include "dispatcher/channel/authorities.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/log.h"
#include "dispatcher/channel/machine.h"

enum { FILE_BYTES_MAX = 4 * 1024 * 1024 };

struct authorities_copy {
    int references;
    int fd;
    int certificates;
    char path[32];
};

struct authorities {
    const char *file;
    struct file_watch watch;
    struct authorities_copy *copy; /* NULL: there is no file */
};

/* The number of certificates in the text; -1: a part is malformed, and curl would refuse the text
 * too. */
static int authorities_count(struct span text) {
    BIO *bio = BIO_new_mem_buf(text.data, (int)text.len);
    STACK_OF(X509_INFO) *found = bio ? PEM_X509_INFO_read_bio(bio, NULL, NULL, NULL) : NULL;
    int count = found ? 0 : -1;
    for (int i = 0; found && i < sk_X509_INFO_num(found); i++)
        count += sk_X509_INFO_value(found, i)->x509 != NULL;
    sk_X509_INFO_pop_free(found, X509_INFO_free);
    BIO_free(bio);
    ERR_clear_error();
    return count;
}

static int authorities_keep(int fd, struct span text) {
    while (text.len) {
        ssize_t n = write(fd, text.data, text.len);
        if (n < 0)
            return -1;
        text = (struct span){text.data + n, text.len - (size_t)n};
    }
    return 0;
}

/* `lack`: what this process or machine lacks for a copy; FAULT_NONE: the text is to blame. */
static struct authorities_copy *authorities_copy_new(struct span text, enum fault_kind *lack,
                                                     struct error *err) {
    int certificates = authorities_count(text);
    *lack = FAULT_NONE;
    if (certificates <= 0) {
        error_set(err, certificates ? "a part of the file is not a PEM certificate"
                                    : "the file holds no PEM certificate");
        return NULL;
    }
    struct authorities_copy *copy = mem_zero(sizeof *copy);
    *copy = (struct authorities_copy){
        .references = 1, .fd = memfd_create("ca", MFD_CLOEXEC), .certificates = certificates};
    snprintf(copy->path, sizeof copy->path, "/proc/self/fd/%d", copy->fd);
    if (copy->fd >= 0 && authorities_keep(copy->fd, text) == 0 && access(copy->path, R_OK) == 0)
        return copy;
    *lack = machine_fault_of(errno);
    error_set(err, "no copy of the file can be kept: %s", strerror(errno));
    authorities_release(copy);
    return NULL;
}

static void authorities_on_changed(void *arg, struct span content, const struct error *unreadable) {
    struct authorities *a = arg;
    enum fault_kind lack = FAULT_NONE;
    struct error err;
    struct authorities_copy *copy = unreadable ? NULL : authorities_copy_new(content, &lack, &err);
    if (lack) {
        file_watch_again(&a->watch);
        return;
    }
    if (!copy) {
        log_error("bad_ca_file", LOG_S("file", a->file),
                  LOG_S("reason", unreadable ? unreadable->message : err.message),
                  LOG_N("certificates_in_force", a->copy->certificates));
        return;
    }
    authorities_release(a->copy);
    a->copy = copy;
    log_info("ca_file_read", LOG_S("file", a->file), LOG_N("certificates", copy->certificates));
}

static int authorities_open(struct authorities *a, struct loop *loop, struct error *err) {
    struct buf text = {0};
    enum fault_kind lack;
    if (file_read(a->file, FILE_BYTES_MAX, &text, err) == 0)
        a->copy = authorities_copy_new((struct span){buf_string(&text), text.len}, &lack, err);
    if (a->copy)
        file_watch_init(&a->watch, loop, a->file, FILE_BYTES_MAX,
                        (struct span){text.data, text.len}, authorities_on_changed, a);
    buf_fini(&text);
    if (a->copy)
        return 0;
    struct error reason = *err;
    return error_set_field(err, "egress.ca_file", "%s: %s", a->file, reason.message);
}

struct authorities *authorities_new(struct loop *loop, const char *file, struct error *err) {
    struct authorities *a = mem_zero(sizeof *a);
    a->file = file;
    if (!*file || authorities_open(a, loop, err) == 0)
        return a;
    authorities_free(a);
    return NULL;
}

void authorities_free(struct authorities *a) {
    if (!a)
        return;
    file_watch_fini(&a->watch);
    authorities_release(a->copy);
    free(a);
}

struct authorities_copy *authorities_take(struct authorities *a) {
    if (a->copy)
        a->copy->references++;
    return a->copy;
}

const char *authorities_path(const struct authorities_copy *copy) {
    return copy ? copy->path : NULL;
}

void authorities_release(struct authorities_copy *copy) {
    if (!copy || --copy->references)
        return;
    if (copy->fd >= 0)
        close(copy->fd);
    free(copy);
}
