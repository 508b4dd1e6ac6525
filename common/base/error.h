/* An error as text to print unchanged.
 *
 * Library code fills a `struct error` and returns -1. Library code never logs and never exits. */
#ifndef ESS_BASE_ERROR_H
#define ESS_BASE_ERROR_H

struct error {
    char field[96];    /* field, option or header to blame, or "" */
    char message[416]; /* clause of a sentence, truncated to fit; never a secret */
};

/* Fills `err` (never NULL) and clears the field. Returns -1, for `return error_set(...)`. No
 * argument of error_set or error_set_field may point into `err`; arguments of error_prefix may. */
int error_set(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Fills `err` and blames `field`, which also starts the message: "throttle: must be above 0". */
int error_set_field(struct error *err, const char *field, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts text before the message, for example file and line. Returns -1. */
int error_prefix(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
