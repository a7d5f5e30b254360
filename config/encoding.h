/* encoding - is a text UTF-8, and of characters that YAML allows? */
#ifndef CONFIG_ENCODING_H
#define CONFIG_ENCODING_H

#include <stddef.h>
#include <stdint.h>

/* Read one character of UTF-8 (RFC 3629: shortest form, no surrogates). Returns its bytes, or 0 if there is
 * none. */
size_t encoding_decode(const char *text, size_t bytes, uint32_t *out);

/* The offset of the first byte that is not UTF-8 or no character of a YAML stream (YAML 1.1 section 5.1), or
 * `bytes` if all are. `why` gets a static phrase. */
size_t encoding_check(const char *text, size_t bytes, const char **why);

/* Line and column, from 1 and in characters, of an offset in a text that is UTF-8 up to there. */
void encoding_place(const char *text, size_t offset, size_t *line, size_t *column);

#endif
