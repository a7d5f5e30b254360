/* proxy_header_test - the header of the PROXY protocol, both versions: what is accepted, however it is cut,
 * and what is refused at its first wrong byte. Section numbers are those of the protocol's text. */
#include "http/proxy_header.h"

#include "base/str.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define IPV4	  "\xc0\x00\x02\x07\xc6\x33\x64\x01\x04\x01\x01\xbb" /* 192.0.2.7 -> 198.51.100.1, 1025 -> 443 */
#define IPV6                                                                                                 \
	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"                                                         \
	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"                                                         \
	"\xff\xff\x01\xbb" /* 2001:db8::7 -> 2001:db8::1, 65535 -> 443 */

/* Read it from memory of its own, so that a sanitizer sees a byte read too many. */
static enum proxy_header_verdict read_copy(const char *at, size_t bytes, struct proxy_header *header)
{
	char *copy = malloc(bytes + (bytes == 0));
	cr_assert_not_null(copy);
	memcpy(copy, at, bytes);
	enum proxy_header_verdict verdict = proxy_header_read(copy, bytes, header);
	free(copy);
	return verdict;
}

static void write_address(const union proxy_address *address, char *text, size_t bytes)
{
	char name[INET6_ADDRSTRLEN];
	bool is_ipv4 = address->any.sa_family == AF_INET;
	const void *at = is_ipv4 ? (const void *)&address->ipv4.sin_addr : &address->ipv6.sin6_addr;
	inet_ntop(address->any.sa_family, at, name, sizeof(name));
	snprintf(text, bytes, "%s %d", name,
		ntohs(is_ipv4 ? address->ipv4.sin_port : address->ipv6.sin6_port));
}

/* "source port > destination port" */
static const char *addresses_of(const struct proxy_header *header)
{
	static char text[160];
	char source[64], destination[64];
	cr_expect_eq(header->source.any.sa_family, header->destination.any.sa_family);
	if (header->source.any.sa_family == AF_UNSPEC)
		return "none";
	write_address(&header->source, source, sizeof(source));
	write_address(&header->destination, destination, sizeof(destination));
	snprintf(text, sizeof(text), "%s > %s", source, destination);
	return text;
}

/* The whole is accepted with what follows it or nothing; each part of it asks for more. */
static void expect_addresses(struct str text, const char *addresses)
{
	struct proxy_header header;
	char followed[PROXY_HEADER_BYTES_MAX + 16];
	memcpy(followed, text.at, text.bytes);
	memcpy(followed + text.bytes, "GET / HTTP/1.1\r\n", 16);
	for (size_t bytes = 0; bytes < text.bytes; bytes++)
		cr_expect_eq(read_copy(text.at, bytes, &header), PROXY_HEADER_MORE, "%s: %zu bytes", text.at,
			bytes);
	for (size_t more = 0; more <= 16; more++) {
		cr_assert_eq(read_copy(followed, text.bytes + more, &header), PROXY_HEADER_DONE, "%s: %s",
			text.at, header.fault);
		cr_expect_eq(header.bytes, text.bytes, "%s", text.at);
		cr_expect_str_eq(addresses_of(&header), addresses, "%s", text.at);
	}
}

/* It is refused, with that reason. */
static void expect_refused(struct str text, const char *fault)
{
	struct proxy_header header = {.fault = NULL};
	cr_assert_eq(read_copy(text.at, text.bytes, &header), PROXY_HEADER_BAD, "%s", text.at);
	cr_expect_str_eq(header.fault, fault, "%s", text.at);
}

/* ---- Version 1 (section 2.1) ----------------------------------------------------------------- */

Test(proxy_header, a_line_tells_the_address)
{
	expect_addresses(
		STR("PROXY TCP4 192.0.2.7 198.51.100.1 1025 443\r\n"), "192.0.2.7 1025 > 198.51.100.1 443");
	expect_addresses(STR("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
		"255.255.255.255 65535 > 255.255.255.255 65535");
	expect_addresses(STR("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n"), "0.0.0.0 0 > 0.0.0.0 0");
	expect_addresses(STR("PROXY TCP6 2001:db8::7 ::1 56324 443\r\n"), "2001:db8::7 56324 > ::1 443");
	expect_addresses(STR("PROXY TCP6 2001:DB8::A ::1 1 2\r\n"), "2001:db8::a 1 > ::1 2");
	expect_addresses(STR("PROXY TCP6 0001:2:3:4:5:6:7:8 :: 1 2\r\n"), "1:2:3:4:5:6:7:8 1 > :: 2");
	expect_addresses(STR("PROXY TCP6 ::ffff:192.0.2.7 ::ffff:198.51.100.1 1 2\r\n"),
		"::ffff:192.0.2.7 1 > ::ffff:198.51.100.1 2");
	expect_addresses(STR("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
			     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 > ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		"65535");
}

Test(proxy_header, a_line_of_an_unknown_protocol_tells_none)
{
	expect_addresses(STR("PROXY UNKNOWN\r\n"), "none");
	expect_addresses(STR("PROXY UNKNOWN \r\n"), "none");
	expect_addresses(STR("PROXY UNKNOWN TCP4 192.0.2.7 or \t anything \xff else\r\n"), "none");
	/* The longest line that the protocol's text has: 107 bytes. */
	expect_addresses(STR("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
			     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
		"none");
}

Test(proxy_header, a_malformed_line)
{
	static const struct {
		const char *line, *fault;
	} lines[] = {
		{"G", "missing"},
		{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "missing"},
		{"proxy TCP4 192.0.2.7 198.51.100.1 1025 443\r\n", "missing"},
		{" PROXY TCP4 192.0.2.7 198.51.100.1 1025 443\r\n", "missing"},
		{"PROXY\r\n", "missing"},
		{"PROXYTCP4", "missing"},
		{"PROXY\tTCP4", "missing"},
		{"PROXY \r\n", "unknown protocol"},
		{"PROXY  TCP4 192.0.2.7 198.51.100.1 1025 443\r\n", "unknown protocol"},
		{"PROXY tcp4 192.0.2.7 198.51.100.1 1025 443\r\n", "unknown protocol"},
		{"PROXY TCP 192.0.2.7 198.51.100.1 1025 443\r\n", "unknown protocol"},
		{"PROXY UDP4 192.0.2.7 198.51.100.1 1025 443\r\n", "unknown protocol"},
		{"PROXY UNKNOWNS\r\n", "unknown protocol"},
		{"PROXY unknown\r\n", "unknown protocol"},
		{"PROXY TCP4\r\n", "malformed address"},
		{"PROXY TCP4 \r\n", "malformed address"},
		{"PROXY TCP4  192.0.2.7 198.51.100.1 1025 443\r\n", "malformed address"},
		{"PROXY TCP4 192.0.2.7  198.51.100.1 1025 443\r\n", "malformed address"},
		{"PROXY TCP4 192.0.2.7\t198.51.100.1 1025 443\r\n", "malformed address"},
		{"PROXY TCP4 192.0.2.07 198.51.100.1 1025 443\r\n", "malformed address"},
		{"PROXY TCP4 192.0.2.256 198.51.100.1 1025 443\r\n", "malformed address"},
		{"PROXY TCP4 192.0.2 198.51.100.1 1025 443\r\n", "malformed address"},
		{"PROXY TCP4 192.0.2.7. 198.51.100.1 1025 443\r\n", "malformed address"},
		{"PROXY TCP4 192.0.2.7 198.51.100.x 1025 443\r\n", "malformed address"},
		{"PROXY TCP4 +1.0.2.7 198.51.100.1 1025 443\r\n", "malformed address"},
		{"PROXY TCP4 localhost 198.51.100.1 1025 443\r\n", "malformed address"},
		{"PROXY TCP4 2001:db8::7 ::1 1025 443\r\n", "malformed address"},
		{"PROXY TCP6 192.0.2.7 198.51.100.1 1025 443\r\n", "malformed address"},
		{"PROXY TCP6 2001:db8::7%eth0 ::1 1025 443\r\n", "malformed address"},
		{"PROXY TCP6 [2001:db8::7] ::1 1025 443\r\n", "malformed address"},
		{"PROXY TCP6 1::2::3 ::1 1025 443\r\n", "malformed address"},
		{"PROXY TCP6 12345::7 ::1 1025 443\r\n", "malformed address"},
		{"PROXY TCP6 1:2:3:4:5:6:7 ::1 1025 443\r\n", "malformed address"},
		{"PROXY TCP6 1:2:3:4:5:6:7:8:9 ::1 1025 443\r\n", "malformed address"},
		{"PROXY TCP4 192.0.2.7 198.51.100.1\r\n", "malformed port"},
		{"PROXY TCP4 192.0.2.7 198.51.100.1 1025\r\n", "malformed port"},
		{"PROXY TCP4 192.0.2.7 198.51.100.1 1025 \r\n", "malformed port"},
		{"PROXY TCP4 192.0.2.7 198.51.100.1  1025 443\r\n", "malformed port"},
		{"PROXY TCP4 192.0.2.7 198.51.100.1 1025  443\r\n", "malformed port"},
		{"PROXY TCP4 192.0.2.7 198.51.100.1 1025 443 \r\n", "malformed port"},
		{"PROXY TCP4 192.0.2.7 198.51.100.1 1025 443 x\r\n", "malformed port"},
		{"PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n", "malformed port"},
		{"PROXY TCP4 192.0.2.7 198.51.100.1 1025 65536\r\n", "malformed port"},
		{"PROXY TCP4 192.0.2.7 198.51.100.1 01025 443\r\n", "malformed port"},
		{"PROXY TCP4 192.0.2.7 198.51.100.1 00 443\r\n", "malformed port"},
		{"PROXY TCP4 192.0.2.7 198.51.100.1 +1025 443\r\n", "malformed port"},
		{"PROXY TCP4 192.0.2.7 198.51.100.1 -1 443\r\n", "malformed port"},
		{"PROXY TCP4 192.0.2.7 198.51.100.1 0x1 443\r\n", "malformed port"},
		{"PROXY TCP4 192.0.2.7 198.51.100.1 1025 443\n", "line without CRLF"},
		{"PROXY TCP4 192.0.2.7 198.51.100.1 1025 443\rx", "line without CRLF"},
		{"PROXY TCP4 192.0.2.7 198.51.100.1 1025 443\r\r\n", "line without CRLF"},
		{"PROXY UNKNOWN a\nb\r\n", "line without CRLF"},
		{"PROXY UNKNOWN a\rb\r\n", "line without CRLF"},
	};
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		expect_refused(str_of(lines[i].line), lines[i].fault);
	expect_refused(STR("PROXY TCP4 192.0.2.7\0 198.51.100.1 1025 443\r\n"), "malformed address");
	expect_refused(STR("PROXY TCP4 192.0.2.7 198.51.100.1 1025 443\0\r\n"), "malformed port");
}

Test(proxy_header, a_line_has_107_bytes_at_most)
{
	struct proxy_header header;
	char line[200];
	memset(line, 'x', sizeof(line));
	memcpy(line, "PROXY UNKNOWN ", 14);
	memcpy(line + 105, "\r\n", 2);
	cr_expect_eq(read_copy(line, 107, &header), PROXY_HEADER_DONE);
	memcpy(line + 105, "x\r\n", 3);
	cr_expect_eq(read_copy(line, 105, &header), PROXY_HEADER_MORE);
	cr_expect_eq(read_copy(line, 106, &header), PROXY_HEADER_BAD);
	cr_expect_eq(read_copy(line, 108, &header), PROXY_HEADER_BAD);
	cr_expect_str_eq(header.fault, "line too long");
}

/* ---- Version 2 (section 2.2) ----------------------------------------------------------------- */

Test(proxy_header, binary_addresses)
{
	expect_addresses(STR(SIGNATURE "\x21\x11\0\x0c" IPV4), "192.0.2.7 1025 > 198.51.100.1 443");
	expect_addresses(STR(SIGNATURE "\x21\x12\0\x0c" IPV4), "192.0.2.7 1025 > 198.51.100.1 443");
	expect_addresses(STR(SIGNATURE "\x21\x21\0\x24" IPV6), "2001:db8::7 65535 > 2001:db8::1 443");
	expect_addresses(STR(SIGNATURE "\x21\x22\0\x24" IPV6), "2001:db8::7 65535 > 2001:db8::1 443");
}

Test(proxy_header, binary_without_an_address)
{
	char path[16 + 216] = SIGNATURE "\x21\x31\0\xd8/a/path";
	expect_addresses((struct str){path, sizeof(path)}, "none");
	path[13] = 0x32;
	expect_addresses((struct str){path, sizeof(path)}, "none");
	/* AF_UNSPEC in either half: whatever is there is skipped. */
	expect_addresses(STR(SIGNATURE "\x21\x00\0\0"), "none");
	expect_addresses(STR(SIGNATURE "\x21\x00\0\x0c" IPV4), "none");
	expect_addresses(STR(SIGNATURE "\x21\x01\0\x03xyz"), "none");
	expect_addresses(STR(SIGNATURE "\x21\x10\0\x0c" IPV4), "none");
	/* LOCAL: so is the family, whatever it says. */
	expect_addresses(STR(SIGNATURE "\x20\x00\0\0"), "none");
	expect_addresses(STR(SIGNATURE "\x20\x11\0\x0c" IPV4), "none");
	expect_addresses(STR(SIGNATURE "\x20\xff\0\x01z"), "none");
}

Test(proxy_header, what_is_attached_is_skipped)
{
	expect_addresses(STR(SIGNATURE "\x21\x11\0\x18" IPV4 "\x02\0\x03"
				       "abc"
				       "\x04\0\0"
				       "\xea\0\0"),
		"192.0.2.7 1025 > 198.51.100.1 443");
}

/* The checksum was computed by another implementation. */
#define CHECKED(sum)                                                                                         \
	SIGNATURE "\x21\x11\0\x1c" IPV4 "\x02\0\x03"                                                         \
		  "abc"                                                                                      \
		  "\x03\0\x04" sum "\x04\0\0"

Test(proxy_header, a_checksum_is_verified)
{
	expect_addresses(STR(CHECKED("\xdc\x9a\x4f\x19")), "192.0.2.7 1025 > 198.51.100.1 443");
	expect_refused(STR(CHECKED("\xdc\x9a\x4f\x18")), "wrong checksum");
	expect_refused(STR(CHECKED("\0\0\0\0")), "wrong checksum");
	expect_refused(STR(CHECKED("\x19\x4f\x9a\xdc")), "wrong checksum");
	/* Of a length that no checksum has; twice. */
	expect_refused(STR(SIGNATURE "\x21\x11\0\x11" IPV4 "\x03\0\x02xx"), "malformed checksum");
	expect_refused(
		STR(SIGNATURE "\x21\x11\0\x1a" IPV4 "\x03\0\x04xxxx\x03\0\x04xxxx"), "malformed checksum");
}

Test(proxy_header, a_malformed_binary_header)
{
	expect_refused(STR("\r\n\r\n\0\r\nQUIT\r"), "missing");
	expect_refused(STR("\r\nGET / HTTP/1.1\r\n"), "missing");
	expect_refused(STR(SIGNATURE "\x11\x11\0\x0c"), "unknown version");
	expect_refused(STR(SIGNATURE "\x31\x11\0\x0c"), "unknown version");
	expect_refused(STR(SIGNATURE "\x22\x11\0\x0c"), "unknown command");
	expect_refused(STR(SIGNATURE "\x2f\x11\0\x0c"), "unknown command");
	expect_refused(STR(SIGNATURE "\x21\x41\0\x0c"), "unknown family or transport");
	expect_refused(STR(SIGNATURE "\x21\x13\0\x0c"), "unknown family or transport");
	expect_refused(STR(SIGNATURE "\x21\x03\0\x0c"), "unknown family or transport");
	expect_refused(STR(SIGNATURE "\x21\x11\0\x0b"), "too short for its addresses");
	expect_refused(STR(SIGNATURE "\x21\x21\0\x23"), "too short for its addresses");
	expect_refused(STR(SIGNATURE "\x21\x31\0\xd7"), "too short for its addresses");
	expect_refused(STR(SIGNATURE "\x21\x11\0\x0d" IPV4 "\x04"), "malformed attachment");
	expect_refused(STR(SIGNATURE "\x21\x11\0\x0e" IPV4 "\x04\0"), "malformed attachment");
	expect_refused(STR(SIGNATURE "\x21\x11\0\x0f" IPV4 "\x04\0\x01"), "malformed attachment");
	expect_refused(STR(SIGNATURE "\x21\x11\0\x13" IPV4 "\x04\0\x01x\x04\x01\0"), "malformed attachment");
}

Test(proxy_header, a_binary_header_has_4096_bytes_at_most)
{
	struct proxy_header header;
	char bytes[PROXY_HEADER_BYTES_MAX] = SIGNATURE "\x21\x11\x0f\xf0" IPV4 "\x04\x0f\xe1";
	cr_expect_eq(read_copy(bytes, sizeof(bytes), &header), PROXY_HEADER_DONE);
	cr_expect_eq(header.bytes, sizeof(bytes));
	bytes[15] = '\xf1';
	expect_refused((struct str){bytes, 16}, "too long");
	bytes[12] = '\x20'; /* LOCAL, too */
	expect_refused((struct str){bytes, 16}, "too long");
}
