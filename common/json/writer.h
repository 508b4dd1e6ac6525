/* Writes JSON (RFC 8259) into a buf. Functions that put a value or a member's name first place a
 * comma where one is due: unless the buffer is empty or ends with `{`, `[` or `:`, as no whole
 * value does. The bytes are the only state, so one function may begin an object that another
 * continues, and members without braces work too. Call the functions in the order of the text;
 * nothing checks that objects and lists are ended. Allocates only by growing the buffer. Any
 * thread. */
#ifndef ESS_JSON_WRITER_H
#define ESS_JSON_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/span.h"

/* --- values: alone, as an element of a list, or behind json_member */

void json_put_object(struct buf *out); /* begins one */
void json_end_object(struct buf *out);
void json_put_list(struct buf *out); /* begins one */
void json_end_list(struct buf *out);

/* Escapes like buf_json_string: any bytes give a valid string. */
void json_put_string(struct buf *out, const char *text);
void json_put_span(struct buf *out, struct span text);
void json_put_number(struct buf *out, int64_t n);
/* The fewest digits that read as the same number. `n` must be finite. */
void json_put_real(struct buf *out, double n);
void json_put_bool(struct buf *out, bool truth);
/* Puts a JSON value, or several members or elements with commas between. Empty text puts
 * nothing. */
void json_put_raw(struct buf *out, struct span json);
void json_put_numbers(struct buf *out, const int64_t *list, size_t count); /* a list of numbers */
/* Puts a due comma before a value that the caller appends. */
void json_put_comma(struct buf *out);

/* --- members of the innermost open object */

/* Puts a name that needs no escapes. Put its value next. */
void json_member(struct buf *out, const char *name);
/* json_member for a name taken from JSON text, escapes included. */
void json_member_named(struct buf *out, struct span name);

void json_member_object(struct buf *out, const char *name); /* begins one */
void json_member_list(struct buf *out, const char *name);   /* begins one */
void json_member_string(struct buf *out, const char *name, const char *text);
void json_member_span(struct buf *out, const char *name, struct span text);
void json_member_number(struct buf *out, const char *name, int64_t n);
void json_member_real(struct buf *out, const char *name, double n);
void json_member_bool(struct buf *out, const char *name, bool truth);
void json_member_raw(struct buf *out, const char *name, struct span json);
void json_member_numbers(struct buf *out, const char *name, const int64_t *list, size_t count);

#endif
