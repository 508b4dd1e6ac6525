/* What went wrong, in words that can be printed as they are.
 *
 * Library code reports failures by returning -1 and filling a `struct error`; it never logs and
 * never exits. */
#ifndef ESS_BASE_ERROR_H
#define ESS_BASE_ERROR_H

struct error {
    char field[96];    /* the field, option or header to blame; "" when none is */
    char message[416]; /* complete sentence part, truncated to fit; never a secret */
};

/* Fills `err` (never NULL) without a field. Returns -1, so that a caller can `return
 * error_set(...)`. The arguments must not be in `err`, here and for a field; error_prefix takes
 * them from anywhere. */
int error_set(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same, blaming `field`, which is also put before the message: "throttle: must be above 0". */
int error_set_field(struct error *err, const char *field, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts text before the message that is there, for example the file and line. Returns -1. */
int error_prefix(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
