/* proxy_header - reads the header of the PROXY protocol (see proxy_header.h). Owns nothing. */
#include "http/proxy_header.h"

#include "base/str.h"

#include <arpa/inet.h>
#include <string.h>

/* The longest line of version 1, its end included (section 2.1). */
#define LINE_BYTES_MAX 107

/* Version 2: signature, version and command, family and transport, length of the rest (section 2.2). */
#define SIGNATURE   "\r\n\r\n\0\r\nQUIT\n"
#define FIXED_BYTES 16

#define VERSION_2     2
#define COMMAND_LOCAL 0
#define COMMAND_PROXY 1

enum family { FAMILY_UNSPECIFIED, FAMILY_INET, FAMILY_INET6, FAMILY_UNIX, FAMILY_COUNT };
enum transport { TRANSPORT_UNSPECIFIED, TRANSPORT_STREAM, TRANSPORT_DGRAM, TRANSPORT_COUNT };

/* Both addresses, and both ports where there are any. */
static const size_t address_bytes[] = {
	[FAMILY_UNSPECIFIED] = 0,
	[FAMILY_INET] = 4 + 4 + 2 + 2,
	[FAMILY_INET6] = 16 + 16 + 2 + 2,
	[FAMILY_UNIX] = 108 + 108,
};

#define TLV_CRC32C	  3
#define TLV_CRC32C_BYTES  4
#define TLV_HEAD_BYTES	  3
#define CRC32C_POLYNOMIAL UINT32_C(0x82f63b78)

_Static_assert(PROXY_HEADER_BYTES_MAX >= FIXED_BYTES + 108 + 108, "the longest addresses fit");

static enum proxy_header_verdict refuse(struct proxy_header *header, const char *fault)
{
	header->fault = fault;
	return PROXY_HEADER_BAD;
}

/* Is what has come so far the start of `wanted`? */
static bool begins(const char *at, size_t bytes, struct str wanted)
{
	return memcmp(at, wanted.at, bytes < wanted.bytes ? bytes : wanted.bytes) == 0;
}

static void *address_of(int family, union proxy_address *address)
{
	return family == AF_INET ? (void *)&address->ipv4.sin_addr : &address->ipv6.sin6_addr;
}

static in_port_t *port_of(int family, union proxy_address *address)
{
	return family == AF_INET ? &address->ipv4.sin_port : &address->ipv6.sin6_port;
}

static void set_family(struct proxy_header *header, int family)
{
	header->source.any.sa_family = header->destination.any.sa_family = (sa_family_t)family;
}

/* ---- Version 1 ------------------------------------------------------------------------------- */

/* Cut the text before the first space off; a line has exactly one between two words. */
static struct str take_word(struct str *line)
{
	const char *space = memchr(line->at, ' ', line->bytes);
	struct str word = {line->at, space != NULL ? (size_t)(space - line->at) : line->bytes};
	size_t used = word.bytes + (space != NULL);
	line->at += used;
	line->bytes -= used;
	return word;
}

/* inet_pton() is as strict as the protocol asks for: no leading zeros, no zone. An address that IPv6 maps an
 * IPv4 one into may end in it, as such addresses are commonly written. */
static bool read_address(int family, struct str word, void *address)
{
	char text[INET6_ADDRSTRLEN];
	if (word.bytes >= sizeof(text) || memchr(word.at, '\0', word.bytes) != NULL)
		return false;
	memcpy(text, word.at, word.bytes);
	text[word.bytes] = '\0';
	return inet_pton(family, text, address) == 1;
}

/* 0 to 65535 without leading zeros, into network byte order. */
static bool read_port(struct str word, in_port_t *port)
{
	uint32_t value = 0;
	if (word.bytes == 0 || word.bytes > 5 || (word.at[0] == '0' && word.bytes > 1))
		return false;
	for (size_t i = 0; i < word.bytes; i++) {
		if (word.at[i] < '0' || word.at[i] > '9')
			return false;
		value = value * 10 + (uint32_t)(word.at[i] - '0');
	}
	*port = htons((uint16_t)value);
	return value <= UINT16_MAX;
}

static enum proxy_header_verdict decode_line(struct str line, struct proxy_header *header)
{
	union proxy_address *source = &header->source, *destination = &header->destination;
	take_word(&line); /* PROXY */
	struct str protocol = take_word(&line);
	if (str_equal(protocol, STR("UNKNOWN")))
		return PROXY_HEADER_DONE; /* whatever else the line says is to be ignored */
	bool is_ipv4 = str_equal(protocol, STR("TCP4"));
	if (!is_ipv4 && !str_equal(protocol, STR("TCP6")))
		return refuse(header, "unknown protocol");
	int family = is_ipv4 ? AF_INET : AF_INET6;
	if (!read_address(family, take_word(&line), address_of(family, source)) ||
		!read_address(family, take_word(&line), address_of(family, destination)))
		return refuse(header, "malformed address");
	if (!read_port(take_word(&line), port_of(family, source)) ||
		!read_port(line, port_of(family, destination)))
		return refuse(header, "malformed port");
	set_family(header, family);
	return PROXY_HEADER_DONE;
}

static enum proxy_header_verdict read_line(const char *at, size_t bytes, struct proxy_header *header)
{
	size_t end = 0;
	while (end < bytes && end < LINE_BYTES_MAX - 1 && at[end] != '\r' && at[end] != '\n')
		end++;
	if (end == LINE_BYTES_MAX - 1)
		return refuse(header, "line too long");
	if (end == bytes || (at[end] == '\r' && end + 1 == bytes))
		return PROXY_HEADER_MORE;
	if (at[end] != '\r' || at[end + 1] != '\n')
		return refuse(header, "line without CRLF");
	header->bytes = end + 2;
	return decode_line((struct str){at, end}, header);
}

/* ---- Version 2 ------------------------------------------------------------------------------- */

static uint32_t crc32c(uint32_t crc, const uint8_t *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		crc ^= at[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (CRC32C_POLYNOMIAL & (0U - (crc & 1)));
	}
	return crc;
}

/* Of the whole header, with zeros in place of the checksum itself (section 2.2.3). */
static bool is_checksum_right(const uint8_t *at, size_t bytes, size_t checksum_at)
{
	static const uint8_t zeros[TLV_CRC32C_BYTES];
	const uint8_t *said = at + checksum_at, *rest = said + TLV_CRC32C_BYTES;
	uint32_t crc = crc32c(UINT32_MAX, at, checksum_at);
	crc = crc32c(crc, zeros, sizeof(zeros));
	crc = ~crc32c(crc, rest, (size_t)(at + bytes - rest));
	return crc == ((uint32_t)said[0] << 24 | (uint32_t)said[1] << 16 | (uint32_t)said[2] << 8 | said[3]);
}

/* What is attached behind the addresses: skipped, but for a checksum. */
static enum proxy_header_verdict check_attached(const uint8_t *at, size_t from, struct proxy_header *header)
{
	size_t checksum_at = 0;
	while (from < header->bytes) {
		size_t left = header->bytes - from;
		if (left < TLV_HEAD_BYTES)
			return refuse(header, "malformed attachment");
		size_t bytes = (size_t)at[from + 1] << 8 | at[from + 2];
		if (left - TLV_HEAD_BYTES < bytes)
			return refuse(header, "malformed attachment");
		if (at[from] == TLV_CRC32C) {
			if (bytes != TLV_CRC32C_BYTES || checksum_at != 0)
				return refuse(header, "malformed checksum");
			checksum_at = from + TLV_HEAD_BYTES;
		}
		from += TLV_HEAD_BYTES + bytes;
	}
	if (checksum_at != 0 && !is_checksum_right(at, header->bytes, checksum_at))
		return refuse(header, "wrong checksum");
	return PROXY_HEADER_DONE;
}

/* Source address, destination address, source port, destination port. */
static void take_addresses(const uint8_t *at, int family, struct proxy_header *header)
{
	size_t bytes = family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr);
	const uint8_t *ports = at + 2 * bytes;
	set_family(header, family);
	memcpy(address_of(family, &header->source), at, bytes);
	memcpy(address_of(family, &header->destination), at + bytes, bytes);
	memcpy(port_of(family, &header->source), ports, sizeof(in_port_t));
	memcpy(port_of(family, &header->destination), ports + sizeof(in_port_t), sizeof(in_port_t));
}

static enum proxy_header_verdict read_binary(const uint8_t *at, size_t bytes, struct proxy_header *header)
{
	if (bytes < FIXED_BYTES)
		return PROXY_HEADER_MORE;
	unsigned version = at[12] >> 4, command = at[12] & 15U;
	unsigned family = at[13] >> 4, transport = at[13] & 15U;
	bool is_local = command == COMMAND_LOCAL;
	if (version != VERSION_2)
		return refuse(header, "unknown version");
	if (!is_local && command != COMMAND_PROXY)
		return refuse(header, "unknown command");
	/* A LOCAL connection's family is to be ignored, like all that follows. */
	if (!is_local && (family >= FAMILY_COUNT || transport >= TRANSPORT_COUNT))
		return refuse(header, "unknown family or transport");
	size_t rest = (size_t)at[14] << 8 | at[15];
	if (rest > PROXY_HEADER_BYTES_MAX - FIXED_BYTES)
		return refuse(header, "too long");
	bool is_skipped = is_local || family == FAMILY_UNSPECIFIED || transport == TRANSPORT_UNSPECIFIED;
	if (!is_skipped && rest < address_bytes[family])
		return refuse(header, "too short for its addresses");
	if (bytes < FIXED_BYTES + rest)
		return PROXY_HEADER_MORE;
	header->bytes = FIXED_BYTES + rest;
	if (is_skipped)
		return PROXY_HEADER_DONE;
	enum proxy_header_verdict verdict = check_attached(at, FIXED_BYTES + address_bytes[family], header);
	if (verdict == PROXY_HEADER_DONE && family != FAMILY_UNIX)
		take_addresses(at + FIXED_BYTES, family == FAMILY_INET ? AF_INET : AF_INET6, header);
	return verdict;
}

enum proxy_header_verdict proxy_header_read(const char *at, size_t bytes, struct proxy_header *header)
{
	memset(header, 0, sizeof(*header));
	set_family(header, AF_UNSPEC);
	if (begins(at, bytes, STR("PROXY ")))
		return read_line(at, bytes, header);
	if (begins(at, bytes, STR(SIGNATURE)))
		return read_binary((const uint8_t *)at, bytes, header);
	return refuse(header, "missing");
}
