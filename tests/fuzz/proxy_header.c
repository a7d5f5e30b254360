/* proxy_header - any bytes as the header of the PROXY protocol: the same verdict however many of the bytes
 * are there, none read that is not there, lines taken exactly where the grammar has them, addresses the ones
 * that stand in the bytes, and no changed byte under a checksum. */
#include "http/proxy_header.h"
#include "address_grammar.h"

#include <arpa/inet.h>

#define LINE_MAX_BYTES 107
#define INPUT_MAX      8192
#define ALL_CUTS       256 /* so many first bytes are given one by one */

#define PORT "[0-9]{1,5}"

/* Read the first `bytes` of it from memory that ends there. */
static enum proxy_header_verdict read_first(const uint8_t *data, size_t bytes, struct proxy_header *header)
{
	char *copy = malloc(bytes + 1);
	require(copy != NULL, "no memory");
	memcpy(copy + 1, data, bytes);
	enum proxy_header_verdict verdict = proxy_header_read(copy + 1, bytes, header);
	free(copy);
	return verdict;
}

/* More bytes never change what fewer bytes have settled. */
static void check_cut(const uint8_t *data, size_t bytes, enum proxy_header_verdict verdict,
	const struct proxy_header *whole)
{
	struct proxy_header header;
	enum proxy_header_verdict cut = read_first(data, bytes, &header);
	require((cut == PROXY_HEADER_BAD) == (header.fault != NULL), "a fault without a reason");
	if (cut == PROXY_HEADER_MORE)
		require(verdict != PROXY_HEADER_DONE || bytes < whole->bytes, "asks for more than it needs");
	else
		require(cut == verdict, "a cut changes the verdict");
	if (cut == PROXY_HEADER_DONE)
		require(bytes >= header.bytes && header.bytes == whole->bytes &&
				memcmp(&header.source, &whole->source, sizeof(header.source)) == 0 &&
				memcmp(&header.destination, &whole->destination,
					sizeof(header.destination)) == 0,
			"a cut changes what was read");
}

/* ---- Version 1 ------------------------------------------------------------------------------- */

/* One word of the line's address or port, again from its text. */
static void check_word(const char *word, int family, const union proxy_address *address)
{
	struct in6_addr binary = {0};
	const void *taken = family == AF_INET ? (const void *)&address->ipv4.sin_addr
					      : (const void *)&address->ipv6.sin6_addr;
	require(inet_pton(family, word, &binary) == 1, "not an address to the system");
	require(memcmp(&binary, taken, family == AF_INET ? 4 : 16) == 0, "another address is taken");
}

static void check_line_parts(const char *line, const struct proxy_header *header)
{
	char protocol[8], source[64], destination[64];
	unsigned source_port, destination_port;
	if (strncmp(line, "PROXY UNKNOWN", 13) == 0) {
		require(header->source.any.sa_family == AF_UNSPEC, "an address out of nothing");
		return;
	}
	require(sscanf(line, "PROXY %7s %63s %63s %u %u", protocol, source, destination, &source_port,
			&destination_port) == 5,
		"a line without its parts");
	int family = strcmp(protocol, "TCP4") == 0 ? AF_INET : AF_INET6;
	require(header->source.any.sa_family == family && header->destination.any.sa_family == family,
		"another family");
	check_word(source, family, &header->source);
	check_word(destination, family, &header->destination);
	/* the port stands at the same place in both */
	require(ntohs(header->source.ipv4.sin_port) == source_port &&
			ntohs(header->destination.ipv4.sin_port) == destination_port,
		"another port");
}

static bool are_ports_fine(const char *line, size_t bytes)
{
	if (strncmp(line, "PROXY UNKNOWN", 13) == 0)
		return true;
	for (int i = 0; i < 2; i++) {
		const char *space = memrchr(line, ' ', bytes);
		size_t digits = (size_t)(line + bytes - space - 1);
		if (!grammar_is_port(space + 1, digits, 0) || (digits > 1 && space[1] == '0'))
			return false;
		bytes = (size_t)(space - line);
	}
	return true;
}

static void check_line(
	const char *text, size_t bytes, enum proxy_header_verdict verdict, const struct proxy_header *header)
{
	static regex_t *grammar;
	const char *end = memchr(text, '\n', bytes);
	size_t line_bytes = end == NULL ? bytes : (size_t)(end - text) + 1;
	if (end == NULL && line_bytes < LINE_MAX_BYTES)
		return; /* nothing to say as long as it may still end well */
	bool is_line = end != NULL && line_bytes <= LINE_MAX_BYTES && line_bytes > 6 && end[-1] == '\r' &&
		       memchr(text, '\r', line_bytes - 2) == NULL;
	bool is_unknown =
		is_line && strncmp(text, "PROXY UNKNOWN", 13) == 0 && (text[13] == ' ' || text[13] == '\r');
	bool is_good =
		is_unknown || (is_line &&
				      grammar_matches(&grammar,
					      "^PROXY (TCP4 " GRAMMAR_IPV4 " " GRAMMAR_IPV4
					      "|TCP6 " GRAMMAR_IPV6 " " GRAMMAR_IPV6 ") " PORT " " PORT "$",
					      text, line_bytes - 2) &&
				      are_ports_fine(text, line_bytes - 2));
	require((verdict == PROXY_HEADER_DONE) == is_good, "a line is not judged by its grammar");
	if (!is_good)
		return;
	char line[LINE_MAX_BYTES + 1];
	memcpy(line, text, line_bytes);
	line[line_bytes] = '\0';
	require(header->bytes == line_bytes, "another length of the line");
	check_line_parts(line, header);
}

/* ---- Version 2 ------------------------------------------------------------------------------- */

static bool has_checksum(const uint8_t *data, size_t at, size_t end)
{
	for (; at + 3 <= end; at += 3 + ((size_t)data[at + 1] << 8 | data[at + 2]))
		if (data[at] == 3)
			return true;
	return false;
}

static void check_binary(const uint8_t *data, const struct proxy_header *header)
{
	struct proxy_header changed;
	unsigned command = data[12] & 15U, family = data[13] >> 4, transport = data[13] & 15U;
	bool is_told = command == 1 && transport != 0 && (family == 1 || family == 2);
	int expected = !is_told ? AF_UNSPEC : family == 1 ? AF_INET : AF_INET6;
	size_t bytes = family == 1 ? 4 : 16;
	require(header->bytes == 16 + ((size_t)data[14] << 8 | data[15]), "another length of the header");
	require(data[12] >> 4 == 2 && command <= 1, "another version, or a command that is none");
	require(header->source.any.sa_family == expected, "another family");
	if (!is_told)
		return;
	const void *source = family == 1 ? (const void *)&header->source.ipv4.sin_addr
					 : (const void *)&header->source.ipv6.sin6_addr;
	require(memcmp(source, data + 16, bytes) == 0, "another address is taken");
	require(memcmp(&header->source.ipv4.sin_port, data + 16 + 2 * bytes, 2) == 0, "another port");
	if (!has_checksum(data, 16 + 2 * bytes + 4, header->bytes))
		return;
	uint8_t *copy = malloc(header->bytes);
	require(copy != NULL, "no memory");
	memcpy(copy, data, header->bytes);
	copy[16 + data[17] % (2 * bytes + 4)] ^= (uint8_t)(1U << (data[18] & 7));
	require(read_first(copy, header->bytes, &changed) == PROXY_HEADER_BAD, "a wrong checksum passes");
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct proxy_header header;
	if (bytes > INPUT_MAX)
		return 0;
	enum proxy_header_verdict verdict = read_first(data, bytes, &header);
	for (size_t cut = 0; cut < bytes && cut < ALL_CUTS; cut++)
		check_cut(data, cut, verdict, &header);
	if (verdict == PROXY_HEADER_DONE) {
		check_cut(data, header.bytes - 1, verdict, &header);
		check_cut(data, header.bytes, verdict, &header);
	}
	if (bytes >= 6 && memcmp(data, "PROXY ", 6) == 0)
		check_line((const char *)data, bytes, verdict, &header);
	else if (verdict == PROXY_HEADER_DONE)
		check_binary(data, &header);
	return 0;
}
