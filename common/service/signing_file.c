/* See signing_file.h. After a bad change of the file, the last good keys stay in force. */
#include "common/service/signing_file.h"

#include "common/service/service.h"

static int signing_file_take(struct service *s, struct span text, struct error *err) {
    return signing_keys_take(&s->signing_keys, text, err)
               ? error_prefix(err, "%s: ", s->settings.signing_key_file)
               : 0;
}

static void signing_file_log(const struct service *s) {
    log_info("signing_keys_read", LOG_N("keys", s->signing_keys.count),
             LOG_S("signs", s->signing_keys.of[0].id));
}

static void signing_file_on_changed(void *arg, struct span text, const struct error *unreadable) {
    struct service *s = arg;
    struct error err;
    if (unreadable ? error_set(&err, "%s: %s", s->settings.signing_key_file, unreadable->message)
                   : signing_file_take(s, text, &err))
        log_error("bad_signing_key_file", LOG_S("reason", err.message),
                  LOG_N("keys_in_force", s->signing_keys.count));
    else
        signing_file_log(s);
}

int signing_file_open(struct service *s, struct error *err) {
    const char *path = s->settings.signing_key_file;
    struct buf text = {0};
    if (!*path)
        return 0;
    int result = file_read_secret(path, SIGNING_KEYS_FILE_BYTES_MAX, &text, err)
                     ? error_prefix(err, "%s: ", path)
                     : signing_file_take(s, (struct span){buf_string(&text), text.len}, err);
    if (result == 0) {
        file_watch_init(&s->signing_watch, s->loop, path, SIGNING_KEYS_FILE_BYTES_MAX,
                        (struct span){text.data, text.len}, signing_file_on_changed, s);
        s->signing_watch.secret = true;
        signing_file_log(s);
    } else {
        error_prefix(err, "signing.key_file: ");
    }
    buf_wipe(&text);
    return result;
}

void signing_file_close(struct service *s) {
    file_watch_fini(&s->signing_watch);
    signing_keys_fini(&s->signing_keys);
}
