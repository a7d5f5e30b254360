/* address_grammar.h - addresses and hosts as the ABNF of RFC 3986 section 3.2.2 has them, as regular
 * expressions: a second opinion, slow and plain on purpose. Keeps what it compiled. */
#ifndef FUZZ_ADDRESS_GRAMMAR_H
#define FUZZ_ADDRESS_GRAMMAR_H

#include "require.h"

#include <regex.h>
#include <string.h>

#define GRAMMAR_OCTET "([0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])"
#define GRAMMAR_IPV4  GRAMMAR_OCTET "[.]" GRAMMAR_OCTET "[.]" GRAMMAR_OCTET "[.]" GRAMMAR_OCTET
#define GRAMMAR_H16   "[0-9A-Fa-f]{1,4}"
#define GRAMMAR_GROUP "(" GRAMMAR_H16 ":)"
#define GRAMMAR_LS32  "(" GRAMMAR_H16 ":" GRAMMAR_H16 "|" GRAMMAR_IPV4 ")"
#define GRAMMAR_IPV6                                                                                         \
	"(" GRAMMAR_GROUP "{6}" GRAMMAR_LS32 "|::" GRAMMAR_GROUP "{5}" GRAMMAR_LS32 "|(" GRAMMAR_H16         \
	")?::" GRAMMAR_GROUP "{4}" GRAMMAR_LS32 "|(" GRAMMAR_GROUP "{0,1}" GRAMMAR_H16 ")?::" GRAMMAR_GROUP  \
	"{3}" GRAMMAR_LS32 "|(" GRAMMAR_GROUP "{0,2}" GRAMMAR_H16 ")?::" GRAMMAR_GROUP "{2}" GRAMMAR_LS32    \
	"|(" GRAMMAR_GROUP "{0,3}" GRAMMAR_H16 ")?::" GRAMMAR_GROUP GRAMMAR_LS32 "|(" GRAMMAR_GROUP          \
	"{0,4}" GRAMMAR_H16 ")?::" GRAMMAR_LS32 "|(" GRAMMAR_GROUP "{0,5}" GRAMMAR_H16 ")?::" GRAMMAR_H16    \
	"|(" GRAMMAR_GROUP "{0,6}" GRAMMAR_H16 ")?::)"

/* Do all `bytes` at `text` match `pattern`? `compiled` keeps it; a NUL matches nothing. */
static inline bool grammar_matches(regex_t **compiled, const char *pattern, const char *text, size_t bytes)
{
	static char line[1 << 14];
	if (*compiled == NULL) {
		*compiled = malloc(sizeof(**compiled));
		require(*compiled != NULL && regcomp(*compiled, pattern, REG_EXTENDED | REG_NOSUB) == 0,
			"a pattern is wrong");
	}
	require(bytes < sizeof(line), "the oracle has no room");
	if (memchr(text, '\0', bytes) != NULL || memchr(text, '\n', bytes) != NULL)
		return false;
	memcpy(line, text, bytes);
	line[bytes] = '\0';
	return regexec(*compiled, line, 0, NULL, 0) == 0;
}

/* Is it a decimal number from `least` to 65535, of digits alone? */
static inline bool grammar_is_port(const char *text, size_t bytes, unsigned long least)
{
	char digits[32] = "";
	size_t zeros = 0;
	for (size_t i = 0; i < bytes; i++)
		if (text[i] < '0' || text[i] > '9')
			return false;
	while (zeros < bytes && text[zeros] == '0')
		zeros++;
	if (bytes - zeros > 5)
		return false;
	memcpy(digits, text + zeros, bytes - zeros);
	unsigned long port = strtoul(digits, NULL, 10);
	return port >= least && port <= 65535;
}

#endif
