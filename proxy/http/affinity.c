/* affinity - what keeps requests together (see affinity.h). */
#include "http/affinity.h"

struct http_affinity http_affinity_parse(const char *text)
{
	static const struct {
		struct str prefix;
		enum http_affinity_kind kind;
	} named[] = {{STR("header:"), HTTP_AFFINITY_FIELD}, {STR("cookie:"), HTTP_AFFINITY_COOKIE}};
	for (size_t i = 0; i < ARRAY_SIZE(named); i++)
		if (strncmp(text, named[i].prefix.at, named[i].prefix.bytes) == 0)
			return (struct http_affinity){named[i].kind, str_of(text + named[i].prefix.bytes)};
	if (strcmp(text, "client_address") == 0)
		return (struct http_affinity){.kind = HTTP_AFFINITY_CLIENT_ADDRESS};
	return (struct http_affinity){.kind = HTTP_AFFINITY_PATH};
}

/* The cookie of that name in a Cookie field: name=value pairs behind "; ". */
static struct str cookie_find(struct str field, struct str name)
{
	const char *at = field.at, *end = field.at + field.bytes;
	while (at < end) {
		const char *next = memchr(at, ';', (size_t)(end - at));
		const char *stop = next != NULL ? next : end;
		while (at < stop && (*at == ' ' || *at == '\t'))
			at++;
		if ((size_t)(stop - at) > name.bytes && memcmp(at, name.at, name.bytes) == 0 &&
			at[name.bytes] == '=') {
			at += name.bytes + 1;
			return (struct str){at, (size_t)(stop - at)};
		}
		at = next != NULL ? next + 1 : end;
	}
	return STR("");
}

static struct str affinity_in_fields(const struct http_affinity *affinity, const struct http_head *head)
{
	bool is_cookie = affinity->kind == HTTP_AFFINITY_COOKIE;
	struct str wanted = is_cookie ? STR("cookie") : affinity->name;
	for (size_t i = 0; i < head->field_count; i++) {
		struct str value = http_text(head, head->fields[i].value);
		if (!str_equal_nocase(http_text(head, head->fields[i].name), wanted))
			continue;
		if (is_cookie)
			value = cookie_find(value, affinity->name);
		if (!is_cookie || value.bytes > 0)
			return value;
	}
	return STR("");
}

bool http_affinity_of(const struct http_affinity *affinity, const struct http_head *head,
	struct str client_address, struct str *out)
{
	switch (affinity->kind) {
	case HTTP_AFFINITY_PATH:
		*out = http_text(head, head->path);
		break;
	case HTTP_AFFINITY_CLIENT_ADDRESS:
		*out = client_address;
		break;
	case HTTP_AFFINITY_FIELD:
	case HTTP_AFFINITY_COOKIE:
		*out = affinity_in_fields(affinity, head);
		break;
	}
	return out->bytes > 0;
}
