/* Errors as printable text; see error.h. */
#include "common/base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *err, const char *format, ...) {
    va_list args;
    err->field[0] = 0;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    return -1;
}

int error_set_field(struct error *err, const char *field, const char *format, ...) {
    va_list args;
    snprintf(err->field, sizeof err->field, "%s", field);
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    return error_prefix(err, "%s: ", err->field);
}

int error_prefix(struct error *err, const char *format, ...) {
    char prefix[sizeof err->message], old[sizeof err->message];
    va_list args;
    va_start(args, format);
    vsnprintf(prefix, sizeof prefix, format, args);
    va_end(args);
    memcpy(old, err->message, sizeof old);
    size_t used = strnlen(prefix, sizeof prefix - 1);
    memcpy(err->message, prefix, used);
    snprintf(err->message + used, sizeof err->message - used, "%.*s", (int)(sizeof old - 1 - used),
             old);
    return -1;
}
