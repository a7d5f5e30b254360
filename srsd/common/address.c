/* address - reads and writes the address of a backend, and checks the name of a service. Pure; owns nothing.
 */
#include "common/internal.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define NAME_LABEL_MAX	  63 /* RFC 1035 section 2.3.4 */
#define SERVICE_LABEL_MAX 255

_Static_assert(SRSD_HOST_MAX >= INET6_ADDRSTRLEN, "an IPv6 address fits where a name fits");

static bool is_digit(char byte)
{
	return byte >= '0' && byte <= '9';
}

static bool is_hex_digit(char byte)
{
	return is_digit(byte) || (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F');
}

static bool is_name_byte(char byte)
{
	return is_digit(byte) || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
	       byte == '-' || byte == '_';
}

/* The reasons stand in these functions as static phrases; NULL means that there is none. */

static const char *read_port(const char *text, size_t bytes, uint16_t *out)
{
	unsigned port = 0;

	if (bytes == 0)
		return "the port is missing";
	if (text[0] == '0')
		return "the port starts with 0";
	for (size_t i = 0; i < bytes; i++) {
		if (!is_digit(text[i]))
			return "the port is not a decimal number";
		port = port * 10 + (unsigned)(text[i] - '0');
		if (port > 65535)
			return "the port is above 65535";
	}
	*out = (uint16_t)port;
	return NULL;
}

/* Would the system's resolver read this label as a number ("10", "0x7f000001")? */
static bool is_number_label(const char *label, size_t bytes)
{
	size_t from = 0;

	if (bytes >= 2 && label[0] == '0' && (label[1] == 'x' || label[1] == 'X'))
		from = 2;
	for (size_t i = from; i < bytes; i++) {
		if (from == 0 ? !is_digit(label[i]) : !is_hex_digit(label[i]))
			return false;
	}
	return true;
}

static const char *check_name(const char *host, size_t bytes)
{
	size_t label_start = 0;

	for (size_t i = 0; i <= bytes; i++) {
		if (i < bytes && host[i] != '.') {
			if (!is_name_byte(host[i]))
				return "the host has a byte that no name has";
			continue;
		}
		if (i == label_start)
			return "the host has an empty label";
		if (i - label_start > NAME_LABEL_MAX)
			return "a label of the host is longer than 63 bytes";
		if (i == bytes && is_number_label(host + label_start, i - label_start))
			return "the host is neither an IPv4 address nor a name";
		label_start = i + 1;
	}
	return NULL;
}

static const char *read_host(const char *host, size_t bytes, struct srsd_address *out)
{
	struct in6_addr binary;
	bool is_bracketed = bytes > 0 && host[0] == '[';

	if (is_bracketed) {
		if (bytes < 2 || host[bytes - 1] != ']')
			return "the bracket of the IPv6 address is not closed";
		host++;
		bytes -= 2;
	}
	if (bytes == 0)
		return "the host is missing";
	if (bytes > SRSD_HOST_MAX)
		return "the host is longer than 253 bytes";
	if (memchr(host, '\0', bytes) != NULL)
		return "the host has a byte that no name has";
	memcpy(out->host, host, bytes);
	out->host[bytes] = '\0';
	if (is_bracketed) {
		out->kind = SRSD_HOST_IPV6;
		return inet_pton(AF_INET6, out->host, &binary) == 1
			       ? NULL
			       : "there is no IPv6 address in the brackets";
	}
	if (memchr(host, ':', bytes) != NULL && strspn(out->host, "0123456789abcdefABCDEF:.") == bytes)
		return "an IPv6 address needs brackets";
	if (inet_pton(AF_INET, out->host, &binary) == 1) {
		out->kind = SRSD_HOST_IPV4;
		return NULL;
	}
	out->kind = SRSD_HOST_NAME;
	return check_name(host, bytes);
}

static const char *read_address(const char *text, size_t bytes, struct srsd_address *out)
{
	const char *colon;
	const char *fault;

	if (bytes == 0)
		return "the address is empty";
	colon = memrchr(text, ':', bytes);
	if (colon == NULL || text[bytes - 1] == ']')
		return "the port is missing";
	fault = read_host(text, (size_t)(colon - text), out);
	if (fault != NULL)
		return fault;
	return read_port(colon + 1, bytes - (size_t)(colon - text) - 1, &out->port);
}

enum srsd_status srsd_address_parse(
	const char *text, size_t bytes, struct srsd_address *out, const char **why)
{
	struct srsd_address address = {0};
	const char *fault = read_address(text, bytes, &address);

	if (why != NULL)
		*why = fault;
	if (fault != NULL)
		return SRSD_BAD_ARGUMENT;
	*out = address;
	return SRSD_OK;
}

size_t srsd_address_format(const struct srsd_address *address, char *out, size_t size)
{
	bool is_bracketed = address->kind == SRSD_HOST_IPV6;
	int written;

	assert(size >= SRSD_ADDRESS_MAX);
	written = snprintf(out, size, "%s%s%s:%u", is_bracketed ? "[" : "", address->host,
		is_bracketed ? "]" : "", (unsigned)address->port);
	return written > 0 ? (size_t)written : 0;
}

static const char *label_fault(const char *label)
{
	size_t bytes = strlen(label);

	if (bytes == 0)
		return "the label is empty";
	if (bytes > SERVICE_LABEL_MAX)
		return "the label is longer than 255 bytes";
	if (strcmp(label, ".") == 0 || strcmp(label, "..") == 0)
		return "the label is a relative path";
	for (size_t i = 0; i < bytes; i++) {
		unsigned char byte = (unsigned char)label[i];

		if (byte == '/')
			return "the label has a slash";
		if (byte < 0x20 || byte == 0x7f)
			return "the label has a control byte";
	}
	return NULL;
}

enum srsd_status srsd_label_check(const char *label, const char **why)
{
	const char *fault = label == NULL ? "the label is missing" : label_fault(label);

	if (why != NULL)
		*why = fault;
	return fault == NULL ? SRSD_OK : SRSD_BAD_ARGUMENT;
}
