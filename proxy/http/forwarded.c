/* forwarded - what a backend is told of the client (see forwarded.h). */
#include "http/forwarded.h"

#include "http/characters.h"

#define X_FORWARDED "x-forwarded-"

uint32_t http_forwarded_left_out(const struct http_forwarding *forwarding)
{
	uint32_t written_anew = BIT(HTTP_FIELD_X_FORWARDED_FOR) | BIT(HTTP_FIELD_FORWARDED);
	if (UNLIKELY(http_forwarded_drops_x(forwarding)))
		written_anew |= BIT(HTTP_FIELD_X_FORWARDED_HOST) | BIT(HTTP_FIELD_X_FORWARDED_PROTO);
	return written_anew;
}

bool http_is_x_forwarded(struct str name)
{
	const size_t bytes = sizeof(X_FORWARDED) - 1;
	if (name.bytes >= bytes && str_equal_nocase((struct str){name.at, bytes}, STR(X_FORWARDED)))
		return true;
	return str_equal_nocase(name, STR("x-real-ip")) || str_equal_nocase(name, STR("x-scheme"));
}

/* Write the values of all fields of this id as one list. False: there are none. */
static bool put_values(struct writer *out, const struct http_head *head, enum http_field_id id)
{
	bool is_any = false;
	if (!http_has(head, id))
		return false;
	for (size_t i = head->first[id]; i < head->field_count; i++) {
		struct str value = http_text(head, head->fields[i].value);
		if (head->fields[i].id != id || value.bytes == 0)
			continue;
		if (is_any)
			PUT_LITERAL(out, ", ");
		put_text(out, value);
		is_any = true;
	}
	return is_any;
}

/* ---- X-Forwarded-* --------------------------------------------------------------------------- */

static void put_x_forwarded(
	struct writer *out, const struct http_head *head, const struct http_forwarding *forwarding)
{
	struct str authority = http_text(head, head->authority);
	struct str address = forwarding->client_address;
	bool is_continued = forwarding->is_peer_trusted;
	bool has_values = is_continued && http_has(head, HTTP_FIELD_X_FORWARDED_FOR);

	if (address.bytes > 0 || has_values) {
		PUT_LITERAL(out, "X-Forwarded-For: ");
		if (has_values && put_values(out, head, HTTP_FIELD_X_FORWARDED_FOR) && address.bytes > 0)
			PUT_LITERAL(out, ", ");
		put_field(out, STR(""), address);
	}
	if (!is_continued || !http_has(head, HTTP_FIELD_X_FORWARDED_PROTO))
		PUT_LITERAL(out, "X-Forwarded-Proto: http\r\n");
	if (authority.bytes > 0 && (!is_continued || !http_has(head, HTTP_FIELD_X_FORWARDED_HOST)))
		put_field(out, STR("X-Forwarded-Host: "), authority);
}

/* ---- Forwarded ------------------------------------------------------------------------------- */

/* token, or what is no token but is sent without quotes all the same: addresses with ':' and brackets. */
static const char *skip_value(const char *at, const char *end)
{
	if (at < end && *at == '"') {
		for (at++; at < end && *at != '"'; at++)
			at += *at == '\\';
		return at < end ? at + 1 : NULL;
	}
	const char *start = at;
	while (at < end && (http_is(*at, HTTP_TOKEN) || *at == ':' || *at == '[' || *at == ']'))
		at++;
	return at > start ? at : NULL;
}

/* One field's value: elements between commas, of pairs between semicolons, of which some may be empty. */
static bool is_element_list(struct str value)
{
	const char *at = value.at;
	const char *end = value.at + value.bytes;
	for (;;) {
		const char *name;
		while (at < end && (http_is_space(*at) || *at == ',' || *at == ';'))
			at++;
		if (at == end)
			return true;
		for (name = at; at < end && http_is(*at, HTTP_TOKEN);)
			at++;
		if (at == name || at == end || *at != '=')
			return false;
		at = skip_value(at + 1, end);
		if (at == NULL)
			return false;
		while (at < end && http_is_space(*at))
			at++;
		if (at < end && *at != ',' && *at != ';')
			return false;
	}
}

static bool has_element_lists_only(const struct http_head *head)
{
	for (size_t i = head->first[HTTP_FIELD_FORWARDED]; i < head->field_count; i++)
		if (head->fields[i].id == HTTP_FIELD_FORWARDED &&
			!is_element_list(http_text(head, head->fields[i].value)))
			return false;
	return true;
}

/* node (RFC 7239 section 6): an IPv6 address stands in brackets, and these between quotes. */
static void put_node(struct writer *out, struct str address)
{
	bool is_ipv6 = memchr(address.at, ':', address.bytes) != NULL;
	if (is_ipv6)
		PUT_LITERAL(out, "\"[");
	put_text(out, address);
	if (is_ipv6)
		PUT_LITERAL(out, "]\"");
}

/* A token as it is, anything else between quotes; a host has nothing that needs a backslash there. */
static void put_host(struct writer *out, struct str host)
{
	bool is_token = true;
	for (size_t i = 0; i < host.bytes && is_token; i++)
		is_token = http_is(host.at[i], HTTP_TOKEN);
	if (!is_token)
		PUT_LITERAL(out, "\"");
	put_text(out, host);
	if (!is_token)
		PUT_LITERAL(out, "\"");
}

static void put_rfc7239(
	struct writer *out, const struct http_head *head, const struct http_forwarding *forwarding)
{
	struct str authority = http_text(head, head->authority);
	PUT_LITERAL(out, "Forwarded: ");
	if (forwarding->is_peer_trusted && http_has(head, HTTP_FIELD_FORWARDED) &&
		has_element_lists_only(head) && put_values(out, head, HTTP_FIELD_FORWARDED))
		PUT_LITERAL(out, ", ");
	PUT_LITERAL(out, "for=");
	put_node(out, forwarding->client_address.bytes > 0 ? forwarding->client_address : STR("unknown"));
	if (authority.bytes > 0) {
		PUT_LITERAL(out, ";host=");
		put_host(out, authority);
	}
	PUT_LITERAL(out, ";proto=http");
	if (forwarding->own_address.bytes > 0) {
		PUT_LITERAL(out, ";by=");
		put_node(out, forwarding->own_address);
	}
	PUT_LITERAL(out, "\r\n");
}

void http_put_forwarded(
	struct writer *out, const struct http_head *head, const struct http_forwarding *forwarding)
{
	if (LIKELY((forwarding->kinds & HTTP_FORWARDED_X) != 0))
		put_x_forwarded(out, head, forwarding);
	if (UNLIKELY((forwarding->kinds & HTTP_FORWARDED_RFC7239) != 0))
		put_rfc7239(out, head, forwarding);
}
