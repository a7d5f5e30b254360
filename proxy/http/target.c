/* target - takes request targets apart and checks hosts, to the grammar of RFC 3986. Owns nothing. */
#include "http/target.h"

#include "http/characters.h"

#include <arpa/inet.h>

#define SCHEME	      "http://"
#define SECURE_SCHEME "https://"

/* Skip bytes of `class` and percent-encoded ones; returns where something else stands, or `end`. */
static const char *skip_encoded(const char *at, const char *end, enum http_character_class class)
{
	while (at < end) {
		if (http_is(*at, class))
			at++;
		else if (*at == '%' && end - at >= 3 && http_is(at[1], HTTP_HEX) && http_is(at[2], HTTP_HEX))
			at += 3;
		else
			break;
	}
	return at;
}

/* IPvFuture = "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" ) */
static bool is_future_address(const char *at, const char *end)
{
	if (at == end || (*at | 0x20) != 'v')
		return false;
	const char *version = ++at;
	while (at < end && http_is(*at, HTTP_HEX))
		at++;
	if (at == version || at == end || *at != '.')
		return false;
	const char *address = ++at;
	while (at < end && (http_is(*at, HTTP_REG_NAME) || *at == ':'))
		at++;
	return at == end && at > address;
}

static bool is_ipv6_address(const char *at, const char *end)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr address;
	size_t bytes = (size_t)(end - at);

	if (bytes >= sizeof(text))
		return false;
	memcpy(text, at, bytes);
	text[bytes] = '\0';
	return strlen(text) == bytes && inet_pton(AF_INET6, text, &address) == 1;
}

static bool is_port(const char *at, const char *end)
{
	unsigned port = 0;
	for (; at < end; at++) {
		if (!http_is_digit(*at))
			return false;
		port = port * 10 + (unsigned)(*at - '0');
		if (port > 65535)
			return false;
	}
	return true;
}

bool http_host_is_valid(struct str text)
{
	const char *at = text.at;
	const char *end = text.at + text.bytes;

	if (text.bytes == 0 || text.bytes > HTTP_HOST_BYTES_MAX)
		return false;
	if (*at == '[') {
		const char *close = memchr(at, ']', text.bytes);
		if (close == NULL || !(is_ipv6_address(at + 1, close) || is_future_address(at + 1, close)))
			return false;
		at = close + 1;
	} else {
		at = skip_encoded(at, end, HTTP_REG_NAME);
		if (at == text.at)
			return false;
	}
	return at == end || (*at == ':' && is_port(at + 1, end));
}

static struct http_slice slice_of(const struct http_head *head, const char *at, const char *end)
{
	return (struct http_slice){(uint16_t)(at - head->base), (uint16_t)(end - at)};
}

/* [ path-abempty ] [ "?" query ], all of it up to `end`. */
static enum problem parse_path(struct http_head *head, const char *at, const char *end)
{
	const char *path_end = skip_encoded(at, end, HTTP_PATH);
	head->path = slice_of(head, at, path_end);
	head->query = slice_of(head, path_end, end);
	if (path_end == end)
		return PROBLEM_NONE;
	if (*path_end != '?' || skip_encoded(path_end, end, HTTP_QUERY) != end)
		return PROBLEM_BAD_TARGET;
	return PROBLEM_NONE;
}

static bool starts_nocase(struct str text, struct str start)
{
	return text.bytes >= start.bytes && str_equal_nocase((struct str){text.at, start.bytes}, start);
}

static enum problem parse_absolute(struct http_head *head, struct str target)
{
	bool is_secure = starts_nocase(target, STR(SECURE_SCHEME));
	if (!is_secure && !starts_nocase(target, STR(SCHEME)))
		return PROBLEM_BAD_TARGET;

	const char *end = target.at + target.bytes;
	const char *host = target.at + (is_secure ? sizeof(SECURE_SCHEME) : sizeof(SCHEME)) - 1;
	const char *at = host;
	while (at < end && *at != '/' && *at != '?')
		at++;
	if (!http_host_is_valid((struct str){host, (size_t)(at - host)}))
		return PROBLEM_BAD_TARGET;
	head->authority = slice_of(head, host, at);
	head->target_form = HTTP_TARGET_ABSOLUTE;
	if (parse_path(head, at, end) != PROBLEM_NONE)
		return PROBLEM_BAD_TARGET;
	if (head->path.bytes == 0) {
		head->path = slice_of(head, host - 1, host);
		if (head->method == HTTP_METHOD_OPTIONS && head->query.bytes == 0)
			head->target_form = HTTP_TARGET_ASTERISK;
	}
	return is_secure ? PROBLEM_MISDIRECTED : PROBLEM_NONE;
}

/* authority-form = uri-host ":" port, for CONNECT alone, which is refused here. */
static enum problem parse_authority(struct str target)
{
	const char *last = target.at + target.bytes - 1;
	return target.bytes > 0 && http_is_digit(*last) && memchr(target.at, ':', target.bytes) != NULL &&
			       http_host_is_valid(target)
		       ? PROBLEM_METHOD_REFUSED
		       : PROBLEM_BAD_TARGET;
}

enum problem http_target_parse(struct http_head *head)
{
	struct str target = http_text(head, head->target);
	const char *end = target.at + target.bytes;

	head->authority = (struct http_slice){0};
	if (head->method == HTTP_METHOD_CONNECT)
		return parse_authority(target);
	if (target.bytes > 0 && *target.at == '/') {
		head->target_form = HTTP_TARGET_ORIGIN;
		return parse_path(head, target.at, end);
	}
	if (target.bytes == 1 && *target.at == '*' && head->method == HTTP_METHOD_OPTIONS) {
		const char *slash = end + sizeof(" HTTP") - 1;
		head->target_form = HTTP_TARGET_ASTERISK;
		head->path = slice_of(head, slash, slash + 1);
		head->query = slice_of(head, end, end);
		return PROBLEM_NONE;
	}
	return parse_absolute(head, target);
}
